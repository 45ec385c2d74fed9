/* cm.h - cmocka with the headers it wants first. */
#ifndef TESTS_UNIT_ROOM_CM_H
#define TESTS_UNIT_ROOM_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
