/* packet_spec.h - what CREATE and SEND ask for, as a rain_spec. */
#ifndef SERVER_PACKET_SPEC_H
#define SERVER_PACKET_SPEC_H

#include "protocol/msg.h"
#include "rain_job.h"

/* Fills j->spec but who asks, and j->users. NULL, or the field that does not even fit; every other rule is
 * rain_spec_check()'s. The room is the job's. */
const char *packet_spec(struct rain_job *j, const struct msg_packet *m);

#endif
