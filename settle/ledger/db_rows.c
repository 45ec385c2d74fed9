#include "db_conn.h"

#include <stdlib.h>

#include "base/alloc.h"

/* Result sets are bounded by their queries (LIMIT, one rain, one shard); this is the last line. */
#define ROWS_CAP_BYTES ((size_t)1 << 30)

void db__rows_init(struct db_rows *r, uint32_t cols)
{
    *r = (struct db_rows){.cols = cols};
    rr_buf_init(&r->text, ROWS_CAP_BYTES);
}

void db__rows_add(struct db_rows *r, uint32_t col, const char *p, size_t len)
{
    struct db_cell *cell = NULL;

    if (col == 0) {
        if (r->n == r->alloc) {
            r->alloc = r->alloc ? r->alloc * 2 : 16;
            r->cells = rr_xrealloc(r->cells, (size_t)r->alloc * r->cols, sizeof(*r->cells));
        }
        r->n++;
    }
    cell = &r->cells[(size_t)(r->n - 1) * r->cols + col];
    *cell = (struct db_cell){.at = r->text.len, .len = (uint32_t)len, .null = p == NULL};
    if (p)
        rr_buf_append(&r->text, p, len);
    rr_buf_append(&r->text, "", 1); /* so that numbers can be parsed in place */
}

void db_rows_fini(struct db_rows *r)
{
    rr_buf_fini(&r->text);
    free(r->cells);
    *r = (struct db_rows){.cols = 0};
}

static const struct db_cell *cell_at(const struct db_rows *r, uint32_t row, uint32_t col)
{
    RR_ASSERT(row < r->n && col < r->cols);
    return &r->cells[(size_t)row * r->cols + col];
}

bool db_null_at(const struct db_rows *r, uint32_t row, uint32_t col)
{
    return cell_at(r, row, col)->null;
}

int64_t db_i64(const struct db_rows *r, uint32_t row, uint32_t col)
{
    const struct db_cell *c = cell_at(r, row, col);

    return c->null ? 0 : strtoll(r->text.p + c->at, NULL, 10);
}

struct rr_slice db_text(const struct db_rows *r, uint32_t row, uint32_t col)
{
    const struct db_cell *c = cell_at(r, row, col);

    return rr_slice_of(r->text.p + c->at, c->null ? 0 : c->len);
}

bool db_copy(const struct db_rows *r, uint32_t row, uint32_t col, char *dst, size_t cap)
{
    return rr_slice_copy(db_text(r, row, col), dst, cap);
}
