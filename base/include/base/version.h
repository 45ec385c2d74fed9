/* version.h - version of all our programs; the build checks it against project() in CMakeLists.txt.
 */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define RR_VERSION "0.1.0"

#endif
