/* gen.h - the parts a generated file or table is printed by. Each appends one whole part to *out.
 */
#ifndef TOOLS_GEN_H
#define TOOLS_GEN_H

#include "base/buf.h"

/* web-demo/constants.js */
void gen_constants(struct rr_buf *out);
/* Tables of docs/PROTOCOL.md */
void gen_messages(struct rr_buf *out);
void gen_fields(struct rr_buf *out);
void gen_results(struct rr_buf *out);
void gen_closes(struct rr_buf *out);
void gen_pushes(struct rr_buf *out);
void gen_limits(struct rr_buf *out);
/* Tables of docs/OPERATIONS.md */
void gen_options(struct rr_buf *out);
void gen_metrics(struct rr_buf *out);
void gen_settler_metrics(struct rr_buf *out);
/* configs/redrain.conf */
void gen_config(struct rr_buf *out);

#endif
