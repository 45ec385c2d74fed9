/* web_root.h - what of the public listener's folder may be served. lws takes ".." out of a path, but follows links
 * wherever they lead. Worker thread. */
#ifndef SERVER_WEB_ROOT_H
#define SERVER_WEB_ROOT_H

#include <stdbool.h>

/* Whether uri (decoded, as lws gives it) names nothing outside of the folder, links followed. What
 * does not exist is inside. */
bool web_root_has(const char *folder, const char *uri);

#endif
