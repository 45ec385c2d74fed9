/* listener.h - listening sockets: opened, found again after an upgrade, shut without resetting anybody. Sockets are not
 * close-on-exec: children and the next generation inherit them. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

/* A listening socket of host:port with SO_REUSEPORT (port 0: any; *port gets it). -1 with errno. */
int listener_open(const char *host, int64_t *port);
/* SO_REUSEPORT would share the port with any other program of the same user: nobody is there. */
bool listener_port_is_free(const char *host, int64_t port);
/* fd listens on host:port (port 0: any port). */
bool listener_matches(int fd, const char *host, int64_t port);
int64_t listener_port(int fd);
/* From here on the kernel drops SYNs of this socket, on whatever descriptor it is open: handshakes under way end well and may
 * be accepted, who comes now tries again a second later and finds another listener, or none. Closing the socket right away
 * would reset everybody in its queue. False with errno. */
bool listener_refuse_new(int fd);

#endif
