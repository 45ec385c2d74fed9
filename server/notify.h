/* notify.h - sd_notify(3) without its library: tells the service manager that started us what we are at, in a datagram to
 * $NOTIFY_SOCKET. Without that everything here does nothing. Only the supervisor calls it; children are not listened to. */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* "READY=1\nSTATUS=…", printf style. False: nobody takes it. */
__attribute__((format(printf, 1, 2))) bool notify(const char *fmt, ...);
/* How often WATCHDOG=1 must be sent, half of what the manager waits; 0: it does not wait for it. */
int64_t notify_watchdog_us(void);

#endif
