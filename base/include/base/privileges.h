/* privileges.h - what our programs give up before they serve anybody. What an init system can take
 * away besides (capabilities, file system, system calls) is in configs/systemd. */
#ifndef BASE_PRIVILEGES_H
#define BASE_PRIVILEGES_H

/* For this process and all it starts: no program it executes gains rights it does not have, be it
 * setuid. Cannot be undone. A program that runs as root says so in the log. */
void rr_privileges_drop(void);

#endif
