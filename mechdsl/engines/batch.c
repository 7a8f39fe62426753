/* The machine code of the batch engine: one convex programme after another, in logarithms, to the last digit.
 *
 * The algorithms are those of conditions.py, refine.py and scaling.py, one scalar at a time: the natural point, the
 * active set settled by Newton's method and, where that fails, the central path to a better guess of the set. They are
 * explained there. A programme comes as data (batch_layout.py): nothing here knows of a market, and nothing is ever
 * compiled for one. All words of the layout are 64 bits wide, so that Python can fill it in field by field.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GLIBC__) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
/* glibc's vector library: several powers at once, within 4 units of the last place. */
__attribute__((simd("notinbranch"))) extern double pow(double, double);
__attribute__((simd("notinbranch"))) extern double exp(double);
__attribute__((simd("notinbranch"))) extern double log(double);
#define WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDE
#endif

typedef int64_t whole;
typedef double real;
typedef unsigned char flag;

enum { ADD, MULTIPLY, POWER, EXP, LOG, SQRT, RECIPROCAL, SQUARE };
enum { CONVERGED, LOST, SHORT, CROSSED, SPECIAL };
enum { OLD = 1, FAMILY = 10, BLOCK = 128 };

static const real TINY = 1e-290, LONGEST = 30, PROXIMAL = 1e-9, CERTAIN = 20, NOISE = 1e-9, LAST = 1e-6, KEPT = 0.02,
                  STRIDE = 3, CENTRED = 0.5, EXACT = 1e-12, SOUND = 1e-9, LARGEST = 600, MARGIN = 0.05, INSIDE = 1e-3, SMALL = 1e-2;
static const int FLIPS = 4, PATIENCE = 12, NEAR_STEPS = 24, STEPS = 60, PATH_STEPS = 300;

typedef struct {
    whole n, m, terms, linear, constants, families, slots, most_turns, most_factors, definitions, served;
    whole at_linear, at_constant, at_lower, at_upper, registers, separable, monotone, powers, separate, numbers, instances, few;
    const whole *family, *steps, *constant_register;
    const real *constant_value;
    const whole *result, *column, *factor, *turns, *turn_one, *turn_other, *turn_done;
    const whole *term_row, *term_instance, *term_family, *linear_row, *linear_column, *constant_row;
    const real *relation, *sign;
    const whole *own, *define_column, *define_row;
    const whole *row_start, *row_term, *row_linear_start, *row_linear;
    const whole *cost_start, *cost_term, *cost_linear_start, *cost_linear, *served_row, *served_column;
    const real *term_sign, *linear_sign;
    const whole *exponent;
} Layout;

typedef struct {
    real *V, *registers, *value, *slope, *bend;
    /* by column */
    real *x, *inner, *width, *plus, *minus, *curved_more, *curved_less, *size, *column_error, *by_more, *by_less, *below,
        *above, *du, *memory, *x_old, *x_best, *x_path, *x_earlier, *other_plus, *other_minus, *scratch, *column_cost,
        *log_weight, *inverse_exponent, *guess_x, *probe, *x_near;
    /* by row */
    real *multipliers, *more, *less, *slack, *price, *row_error, *row_more, *row_less, *give, *dv, *weight, *m_old,
        *m_best, *m_path, *m_earlier, *slack_old, *slack_earlier, *row_cost, *needs, *constant, *start_price, *guess_m, *m_near;
    flag *free, *logarithmic, *down, *high, *guess_free, *active, *flexible, *out, *guess_active;
    whole *doubts, *flips, *free_at, *active_at;
    real *B, *C, *S, *H_more, *H_less, *right;
    int orthant, paid;
    void *memory_of_all;
} Work;

static real larger(real a, real b) { return a > b ? a : b; }
static real smaller(real a, real b) { return a < b ? a : b; }

/* Room for one problem at a time, all in one piece. */
static int room(const Layout *L, Work *w)
{
    size_t n = L->n, m = L->m, J = L->instances + 1, S = L->separable ? m : n + m, H = L->separable ? 1 : n;
    size_t reals = L->numbers + L->registers * BLOCK + J * (1 + L->slots + L->most_turns) + 28 * n + 23 * (m + 1) +
                   2 * n * m + S * S + 2 * H * H + S + 64;
    size_t wholes = 2 * m + 2 * n + m + 8, flags = 5 * n + 4 * m + 8;
    char *at = calloc(1, reals * sizeof(real) + wholes * sizeof(whole) + flags);
    if (!at)
        return 0;
    w->memory_of_all = at;
#define TAKE(name, count, type) (w->name = (type *)at, at += (count) * sizeof(type))
#define R(name, count) TAKE(name, count, real)
    R(V, L->numbers); R(registers, L->registers * BLOCK); R(value, J); R(slope, J * L->slots); R(bend, J * L->most_turns);
    R(x, n); R(inner, n); R(width, n); R(plus, n); R(minus, n); R(curved_more, n); R(curved_less, n); R(size, n);
    R(column_error, n); R(by_more, n); R(by_less, n); R(below, n); R(above, n); R(du, n); R(memory, n); R(x_old, n);
    R(x_best, n); R(x_path, n); R(x_earlier, n); R(other_plus, n); R(other_minus, n); R(scratch, n); R(column_cost, n);
    R(log_weight, n); R(inverse_exponent, n); R(guess_x, n); R(probe, n); R(x_near, n);
    R(multipliers, m); R(more, m); R(less, m); R(slack, m); R(price, m + 1); R(row_error, m); R(row_more, m);
    R(row_less, m); R(give, m); R(dv, m); R(weight, m); R(m_old, m); R(m_best, m); R(m_path, m); R(m_earlier, m);
    R(slack_old, m); R(slack_earlier, m); R(row_cost, m); R(needs, m); R(constant, m + 1); R(start_price, m);
    R(guess_m, m); R(m_near, m);
    R(B, n * m); R(C, n * m); R(S, S * S); R(H_more, H * H); R(H_less, H * H); R(right, S);
    TAKE(doubts, m, whole); TAKE(flips, n + m, whole); TAKE(free_at, n, whole); TAKE(active_at, m, whole);
    TAKE(free, n, flag); TAKE(logarithmic, n, flag); TAKE(down, n, flag); TAKE(high, n, flag); TAKE(guess_free, n, flag);
    TAKE(active, m, flag); TAKE(flexible, m, flag); TAKE(out, m, flag); TAKE(guess_active, m, flag);
#undef R
#undef TAKE
    for (whole j = 0; j < L->m; j++)
        w->flexible[j] = L->relation[j] != 0;
    return 1;
}

static void copy(real *to, const real *from, whole count) { memcpy(to, from, count * sizeof(real)); }

/* ---------------------------------------------------------------------------------------------------------- templates */

/* The tape of family f for some instances, as far as values (0), slopes (1) or bends (2). */
WIDE static void play(const Layout *L, const real *V, const real *x, real *registers, whole f, whole first, whole count,
                      int depth)
{
    const whole *family = L->family + f * FAMILY;
    whole arity = family[2], factors = family[3];
    for (whole a = 0; a < arity; a++)
        for (whole i = 0; i < count; i++)
            registers[a * BLOCK + i] = x[L->column[(first + i) * L->slots + a]];
    for (whole q = 0; q < factors; q++)
        for (whole i = 0; i < count; i++)
            registers[(arity + q) * BLOCK + i] = V[L->factor[(first + i) * L->most_factors + q]];
    for (whole c = family[8]; c < family[9]; c++) {
        real number = L->constant_value[c], *to = registers + L->constant_register[c] * BLOCK;
        for (whole i = 0; i < count; i++)
            to[i] = number;
    }
    for (whole s = family[4]; s < family[5 + depth]; s++) {
        const whole *step = L->steps + s * 4;
        real *restrict to = registers + step[1] * BLOCK;
        const real *one = registers + step[2] * BLOCK, *other = registers + step[3] * BLOCK;
#define EACH(expression)                    \
    if (count < 4) {                        \
        for (whole i = 0; i < count; i++)   \
            to[i] = expression;             \
    } else {                                \
        _Pragma("omp simd")                 \
        for (whole i = 0; i < count; i++)   \
            to[i] = expression;             \
    }                                       \
    break
        switch (step[0]) {
        case ADD: EACH(one[i] + other[i]);
        case MULTIPLY: EACH(one[i] * other[i]);
        case POWER: EACH(pow(one[i], other[i]));
        case EXP: EACH(exp(one[i]));
        case LOG: EACH(log(one[i]));
        case SQRT: EACH(sqrt(one[i]));
        case RECIPROCAL: EACH(1.0 / one[i]);
        case SQUARE: EACH(one[i] * one[i]);
        }
    }
}

/* Values, slopes and bends of all instances at x, as far as depth. */
static void points(const Layout *L, Work *w, const real *x, int depth)
{
    whole width = 1 + L->slots + L->most_turns;
    for (whole f = 0; f < L->families; f++) {
        const whole *family = L->family + f * FAMILY, *result = L->result + f * width;
        for (whole first = family[0]; first < family[1]; first += BLOCK) {
            whole count = family[1] - first < BLOCK ? family[1] - first : BLOCK;
            play(L, w->V, x, w->registers, f, first, count, depth);
            copy(w->value + first, w->registers + result[0] * BLOCK, count);
            if (depth > 0)
                for (whole a = 0; a < family[2]; a++)
                    for (whole i = 0; i < count; i++)
                        w->slope[(first + i) * L->slots + a] = w->registers[result[1 + a] * BLOCK + i];
            if (depth > 1)
                for (whole t = 0; t < L->turns[f]; t++)
                    for (whole i = 0; i < count; i++)
                        w->bend[(first + i) * L->most_turns + t] = w->registers[result[1 + L->slots + t] * BLOCK + i];
        }
    }
}

/* --------------------------------------------------------------------------------------------------------- conditions */

/* The rows' constants; whether the programme is monotone at these numbers. */
static int load(const Layout *L, Work *w)
{
    const real *V = w->V;
    for (whole j = 0; j <= L->m; j++)
        w->constant[j] = 0;
    for (whole i = 0; i < L->constants; i++)
        w->constant[L->constant_row[i]] += V[L->at_constant + i];
    if (!L->monotone)
        return 0;
    for (whole t = 0; t < L->terms; t++)
        if (!(L->term_sign[t] * V[t] >= 0))
            return 0;
    for (whole t = 0; t < L->linear; t++)
        if (!(L->linear_sign[t] * V[L->at_linear + t] >= 0))
            return 0;
    for (whole k = 0; k < L->n; k++)
        if (L->own[k] && !isfinite(V[L->at_lower + k]))
            return 0;
    return 1;
}

/* The terms' part of what `examine` adds up, where templates have one slot each: the same, without a loop a term. */
static void single_terms(const Layout *L, Work *w)
{
    const real *V = w->V;
    for (whole t = 0; t < L->terms; t++) {
        whole row = L->term_row[t], i = L->term_instance[t], f = L->term_family[t], k = L->column[i];
        real value = V[t] * w->value[i], weighed = V[t] * w->price[row], share = weighed * w->slope[i];
        if (row > 0) {
            w->more[row - 1] += value > 0 ? value : 0;
            w->less[row - 1] -= value < 0 ? value : 0;
        }
        w->plus[k] += share > 0 ? share : 0;
        w->minus[k] -= share < 0 ? share : 0;
        if (L->turns[f] && weighed != 0) {
            real curved = weighed * w->bend[i] * (L->turn_done[f] ? 1 : w->width[k]);
            w->size[k] += fabs(curved);
            *(share > 0 ? &w->curved_more[k] : &w->curved_less[k]) += curved;
        }
    }
}

/* Rows' and columns' balances at a point: what of conditions.System does not know of a barrier. */
static void examine(const Layout *L, Work *w, const real *x, const real *multipliers, const flag *active)
{
    const real *V = w->V;
    whole n = L->n, m = L->m;
    int inside = 1;
    w->orthant = 1;
    for (whole k = 0; k < n; k++) {
        real at = x[k], lower = V[L->at_lower + k], inner = at == 0 && lower == 0 ? TINY : at;
        inside = inside && at > 0;
        w->inner[k] = inner;
        w->logarithmic[k] = lower >= 0 && inner > 0;
        w->width[k] = w->logarithmic[k] ? inner : larger(fabs(inner), 1.0);
        if (!(at > 0 && lower == 0 && V[L->at_upper + k] == INFINITY))
            w->orthant = 0;
        w->plus[k] = w->minus[k] = w->curved_more[k] = w->curved_less[k] = w->size[k] = 0;
    }
    points(L, w, w->inner, 2);
    if (!inside)
        points(L, w, x, 0);
    w->price[0] = 1;
    for (whole j = 0; j < m; j++) {
        real constant = w->constant[j + 1];
        w->more[j] = larger(constant, 0), w->less[j] = larger(-constant, 0);
        w->price[j + 1] = active[j] ? -multipliers[j] : 0;
    }
    if (!L->separable) {
        memset(w->H_more, 0, n * n * sizeof(real));
        memset(w->H_less, 0, n * n * sizeof(real));
    }
    if (L->slots == 1 && L->most_turns == 1)
        single_terms(L, w);
    for (whole t = L->slots == 1 && L->most_turns == 1 ? L->terms : 0; t < L->terms; t++) {
        whole row = L->term_row[t], i = L->term_instance[t], f = L->term_family[t];
        real weight = V[t];
        if (row > 0) {
            real value = weight * w->value[i];
            if (value >= 0)
                w->more[row - 1] += value;
            else
                w->less[row - 1] -= value;
        }
        real weighed = weight * w->price[row];
        if (weighed == 0)
            continue;
        for (whole a = 0; a < L->family[f * FAMILY + 2]; a++) {
            real share = weighed * w->slope[i * L->slots + a];
            whole k = L->column[i * L->slots + a];
            if (share >= 0)
                w->plus[k] += share;
            else
                w->minus[k] -= share;
        }
        for (whole turn = 0; turn < L->turns[f]; turn++) {
            whole one = L->turn_one[f * L->most_turns + turn], other = L->turn_other[f * L->most_turns + turn];
            whole k = L->column[i * L->slots + one], c = L->column[i * L->slots + other];
            real value = weighed * w->bend[i * L->most_turns + turn];
            if (!L->turn_done[f * L->most_turns + turn])
                value *= w->width[c];
            w->size[k] += fabs(value);
            int up = weighed * w->slope[i * L->slots + one] > 0;
            if (L->separable)
                *(up ? &w->curved_more[k] : &w->curved_less[k]) += value;
            else
                (up ? w->H_more : w->H_less)[k * n + c] += value;
        }
    }
    for (whole t = 0; t < L->linear; t++) {
        whole row = L->linear_row[t], k = L->linear_column[t];
        real weight = V[L->at_linear + t], share = weight * w->price[row];
        if (row > 0) {
            real value = weight * x[k];
            if (value >= 0)
                w->more[row - 1] += value;
            else
                w->less[row - 1] -= value;
        }
        if (share >= 0)
            w->plus[k] += share;
        else
            w->minus[k] -= share;
    }
    for (whole j = 0; j < m; j++)
        w->slack[j] = (w->more[j] - w->less[j]) * L->sign[j];
}

/* log more - log less and what a change of either adds to it; a plain relative difference where one is 0. */
static void balance(real more, real less, real extra, real *error, real *by_more, real *by_less)
{
    if (more > 0 && less > 0) {
        real ratio = more / less;
        *error = fabs(ratio - 1) < 1e-8 ? (more - less) / less : log(ratio);
        *by_more = 1 / more, *by_less = 1 / less;
        return;
    }
    real total = more + less + extra, each = total > 0 ? 1 / total : 1;
    *error = (more - less) * each;
    *by_more = *by_less = each;
}

/* The largest relative residual; mu = 0 for no barrier. */
static real residuals(const Layout *L, Work *w, const real *x, const real *multipliers, const flag *free,
                      const flag *active, real mu)
{
    real error = 0;
    w->paid = 1;
    for (whole j = 0; j < L->m; j++) {
        w->give[j] = 0;
        if (mu > 0 && w->flexible[j] && active[j]) {
            real size = larger(w->more[j], w->less[j]), worth = fabs(multipliers[j]) * w->slack[j];
            w->give[j] = L->sign[j] * w->slack[j] / size;
            w->row_more[j] = w->row_less[j] = 1 / size;
            w->row_error[j] = log(worth / (mu * w->row_cost[j]));
        } else
            balance(w->more[j], w->less[j], 0, &w->row_error[j], &w->row_more[j], &w->row_less[j]);
        if (active[j]) {
            if (!(fabs(w->row_error[j]) <= error))
                error = fabs(w->row_error[j]);
            if (error != error)
                error = INFINITY;
        }
    }
    for (whole k = 0; k < L->n; k++) {
        real below = 0, above = 0;
        if (mu > 0) {
            real down = x[k] - w->V[L->at_lower + k], up = w->V[L->at_upper + k] - x[k];
            real cost = free[k] && L->own[k] ? w->column_cost[k] : 0;
            below = isfinite(down) && down > 0 && cost > 0 ? mu * cost / down : 0;
            above = isfinite(up) && up > 0 && cost > 0 ? mu * cost / up : 0;
        }
        w->below[k] = below, w->above[k] = above;
        real plus = w->plus[k] + above, minus = w->minus[k] + below;
        balance(plus, minus, w->size[k], &w->column_error[k], &w->by_more[k], &w->by_less[k]);
        if (!(plus > 0 && minus > 0))
            w->paid = 0;
        if (free[k]) {
            if (!(fabs(w->column_error[k]) <= error))
                error = fabs(w->column_error[k]);
            if (error != error)
                error = INFINITY;
        }
    }
    return error;
}

/* S -= C B' on the leading parts; sums may be taken in any order. */
WIDE static void gram(const real *B, const real *C, real *S, whole rows, whole columns, whole width, whole side)
{
    for (whole i = 0; i < rows; i++)
        for (whole j = 0; j < rows; j++) {
            real total = 0;
#pragma omp simd reduction(+ : total)
            for (whole k = 0; k < columns; k++)
                total += C[i * width + k] * B[j * width + k];
            S[i * side + j] -= total;
        }
}

/* b := A^-1 b on the leading part, A destroyed; whether there is one. */
WIDE static int solved(real *A, real *b, whole size, whole side)
{
    for (whole p = 0; p < size; p++) {
        real best = fabs(A[p * side + p]);
        whole at = p;
        for (whole r = p + 1; r < size; r++)
            if (fabs(A[r * side + p]) > best)
                best = fabs(A[r * side + p]), at = r;
        if (!(best > 0) || !isfinite(best))
            return 0;
        if (at != p) {
            for (whole c = p; c < size; c++) {
                real kept = A[p * side + c];
                A[p * side + c] = A[at * side + c], A[at * side + c] = kept;
            }
            real kept = b[p];
            b[p] = b[at], b[at] = kept;
        }
        real inverse = 1 / A[p * side + p];
        for (whole r = p + 1; r < size; r++) {
            real factor = A[r * side + p] * inverse;
            if (factor != 0) {
                real *restrict row = A + r * side;
                const real *pivot = A + p * side;
#pragma omp simd
                for (whole c = p + 1; c < size; c++)
                    row[c] -= factor * pivot[c];
                b[r] -= factor * b[p];
            }
        }
    }
    for (whole p = size - 1; p >= 0; p--) {
        real total = b[p];
        for (whole c = p + 1; c < size; c++)
            total -= A[p * side + c] * b[c];
        b[p] = total / A[p * side + p];
    }
    return 1;
}

static real stiffness(const Layout *L, const Work *w, const real *x, whole k, real mu)
{
    if (mu == 0)
        return 0;
    real down = x[k] - w->V[L->at_lower + k], up = w->V[L->at_upper + k] - x[k], total = 0;
    if (w->below[k] > 0)
        total += w->by_less[k] * w->below[k] * w->width[k] / down;
    if (w->above[k] > 0)
        total += w->by_more[k] * w->above[k] * w->width[k] / up;
    return total;
}

static int by_rows(const Layout *L, Work *w, const real *x, whole rows, whole columns, real mu)
{
    whole n = L->n, m = L->m;
    real *B = w->B, *C = w->C, *S = w->S, *inverse = w->scratch;
    for (whole k = 0; k < n; k++) {
        whole c = w->free_at[k];
        if (c < 0)
            continue;
        real diagonal =
            w->curved_more[k] * w->by_more[k] + w->curved_less[k] * w->by_less[k] + stiffness(L, w, x, k, mu);
        if (!(fabs(diagonal) > PROXIMAL))
            diagonal = PROXIMAL;
        inverse[c] = 1 / diagonal;
    }
    for (whole j = 0; j < m; j++) {
        whole r = w->active_at[j];
        if (r < 0)
            continue;
        real total = -w->row_error[j] * (mu > 0 && w->flexible[j] ? w->give[j] : 1);
        for (whole k = 0; k < n; k++) {
            whole c = w->free_at[k];
            if (c >= 0) {
                C[r * n + c] *= inverse[c];
                total += C[r * n + c] * w->column_error[k];
            }
        }
        w->right[r] = total;
        for (whole s = 0; s < rows; s++)
            S[r * m + s] = 0;
        S[r * m + r] = w->give[j];
    }
    gram(B, C, S, rows, columns, n, m);
    if (!solved(S, w->right, rows, m))
        return 0;
    for (whole j = 0; j < m; j++)
        if (w->active_at[j] >= 0)
            w->dv[j] = w->right[w->active_at[j]];
    for (whole k = 0; k < n; k++) {
        whole c = w->free_at[k];
        if (c >= 0) {
            real total = w->column_error[k];
            for (whole r = 0; r < rows; r++)
                total += B[r * n + c] * w->right[r];
            w->du[k] = -total * inverse[c];
        }
    }
    return 1;
}

static int at_once(const Layout *L, Work *w, const real *x, whole rows, whole columns, real mu)
{
    whole n = L->n, m = L->m, size = rows + columns, side = n + m;
    real *B = w->B, *C = w->C, *S = w->S;
    memset(S, 0, side * side * sizeof(real));
    for (whole k = 0; k < n; k++) {
        whole c = w->free_at[k];
        if (c < 0)
            continue;
        for (whole o = 0; o < n; o++) {
            whole d = w->free_at[o];
            if (d >= 0)
                S[c * side + d] = w->H_more[k * n + o] * w->by_more[k] + w->H_less[k * n + o] * w->by_less[k];
        }
        S[c * side + c] += stiffness(L, w, x, k, mu) + PROXIMAL;
        w->right[c] = -w->column_error[k];
        for (whole r = 0; r < rows; r++) {
            S[c * side + columns + r] = B[r * n + c];
            S[(columns + r) * side + c] = C[r * n + c];
        }
    }
    for (whole j = 0; j < m; j++) {
        whole r = w->active_at[j];
        if (r >= 0) {
            w->right[columns + r] = -w->row_error[j] * (mu > 0 && w->flexible[j] ? w->give[j] : 1);
            S[(columns + r) * side + columns + r] = w->give[j];
        }
    }
    if (!solved(S, w->right, size, side))
        return 0;
    for (whole j = 0; j < m; j++)
        if (w->active_at[j] >= 0)
            w->dv[j] = w->right[columns + w->active_at[j]];
    for (whole k = 0; k < n; k++)
        if (w->free_at[k] >= 0)
            w->du[k] = w->right[w->free_at[k]];
    return 1;
}

static void entry(const Layout *L, Work *w, whole row, whole k, real slope)
{
    whole r = w->active_at[row], c = w->free_at[k];
    if (c < 0)
        return;
    real share = slope * w->price[row + 1];
    w->B[r * L->n + c] += share * (share > 0 ? w->by_more[k] : w->by_less[k]);
    w->C[r * L->n + c] += slope * w->width[k] * (slope > 0 ? w->row_more[row] : w->row_less[row]);
}

/* Newton's step in du, dv; whether there is one. weight: how much a row pays, at most, of any one column. */
static int step(const Layout *L, Work *w, const real *x, const flag *free, const flag *active, real mu)
{
    whole n = L->n, m = L->m, columns = 0, rows = 0;
    for (whole k = 0; k < n; k++) {
        w->du[k] = 0;
        w->free_at[k] = free[k] ? columns++ : -1;
    }
    for (whole j = 0; j < m; j++) {
        w->dv[j] = w->weight[j] = 0;
        w->active_at[j] = active[j] ? rows++ : -1;
    }
    memset(w->B, 0, rows * n * sizeof(real));
    memset(w->C, 0, rows * n * sizeof(real));
    for (whole t = 0; t < L->terms; t++) {
        whole row = L->term_row[t] - 1, i = L->term_instance[t];
        if (row >= 0 && active[row])
            for (whole a = 0; a < L->family[L->term_family[t] * FAMILY + 2]; a++)
                entry(L, w, row, L->column[i * L->slots + a], w->V[t] * w->slope[i * L->slots + a]);
    }
    for (whole t = 0; t < L->linear; t++)
        if (L->linear_row[t] > 0 && active[L->linear_row[t] - 1])
            entry(L, w, L->linear_row[t] - 1, L->linear_column[t], w->V[L->at_linear + t]);
    if (mu == 0)
        for (whole j = 0; j < m; j++)
            if (active[j])
                for (whole c = 0; c < columns; c++)
                    w->weight[j] = larger(w->weight[j], fabs(w->B[w->active_at[j] * n + c]));
    return L->separable ? by_rows(L, w, x, rows, columns, mu) : at_once(L, w, x, rows, columns, mu);
}

/* Take a share of the step, in place. */
static void move(const Layout *L, const Work *w, real *x, real *multipliers, real share, real mu)
{
    for (whole k = 0; k < L->n; k++) {
        if (w->logarithmic[k])
            x[k] *= exp(share * w->du[k]);
        else
            x[k] += w->width[k] * share * w->du[k];
    }
    for (whole j = 0; j < L->m; j++) {
        real by = share * w->dv[j];
        if (mu > 0)
            multipliers[j] *= exp(by);
        else if (w->weight[j] > 0.5)
            multipliers[j] *= exp(smaller(larger(by, -LONGEST), LONGEST));
        else
            multipliers[j] *= larger(1 + by, 0.1);
    }
}

/* other_plus, other_minus: the Lagrangian's derivative at x, with the prices of the last point. */
static void tension(const Layout *L, Work *w, const real *x)
{
    for (whole k = 0; k < L->n; k++) {
        w->inner[k] = x[k] == 0 && w->V[L->at_lower + k] == 0 ? TINY : x[k];
        w->other_plus[k] = w->other_minus[k] = 0;
    }
    points(L, w, w->inner, 1);
    for (whole t = 0; t < L->terms; t++) {
        whole i = L->term_instance[t], f = L->term_family[t];
        real weighed = w->V[t] * w->price[L->term_row[t]];
        if (weighed != 0)
            for (whole a = 0; a < L->family[f * FAMILY + 2]; a++) {
                real share = weighed * w->slope[i * L->slots + a];
                whole k = L->column[i * L->slots + a];
                if (share >= 0)
                    w->other_plus[k] += share;
                else
                    w->other_minus[k] -= share;
            }
    }
    for (whole t = 0; t < L->linear; t++) {
        real share = w->V[L->at_linear + t] * w->price[L->linear_row[t]];
        if (share >= 0)
            w->other_plus[L->linear_column[t]] += share;
        else
            w->other_minus[L->linear_column[t]] -= share;
    }
}

/* Keep in down the columns that would stay at their lower bound, with those that nothing speaks for; any? */
static int rest(const Layout *L, Work *w, const real *x, const flag *free)
{
    int any = 0;
    for (whole k = 0; k < L->n; k++) {
        real lower = w->V[L->at_lower + k];
        w->down[k] = free[k] && isfinite(lower) && ((w->down[k] && w->plus[k] > w->minus[k]) || w->minus[k] == 0);
        any = any || w->down[k];
        w->x_old[k] = w->down[k] ? lower : x[k];
    }
    if (!any)
        return 0;
    tension(L, w, w->x_old);
    any = 0;
    for (whole k = 0; k < L->n; k++) {
        w->down[k] = w->down[k] && w->other_plus[k] >= w->other_minus[k];
        any = any || w->down[k];
    }
    return any;
}

/* ------------------------------------------------------------------------------------------------------------- settle */

/* Whether a row left out is violated (out) or a held column should move (high). */
static int wrong_set(const Layout *L, Work *w, const real *x, const flag *free, const flag *active)
{
    int found = 0;
    for (whole j = 0; j < L->m; j++) {
        w->out[j] = !active[j] && w->slack[j] < -EXACT * larger(w->more[j], w->less[j]);
        found = found || w->out[j];
    }
    for (whole k = 0; k < L->n; k++) {
        real lower = w->V[L->at_lower + k];
        w->high[k] = 0;
        if (!free[k] && lower < w->V[L->at_upper + k]) {
            real reduced = w->plus[k] - w->minus[k], size = EXACT * (w->plus[k] + w->minus[k]);
            w->high[k] = x[k] <= lower ? reduced < -size : reduced > size;
        }
        found = found || w->high[k];
    }
    return found;
}

/* Whether nothing left out is near to coming in. */
static int clear_set(const Layout *L, const Work *w, const flag *free, const flag *active)
{
    for (whole j = 0; j < L->m; j++)
        if (!active[j] && !(w->slack[j] > SMALL * larger(w->more[j], w->less[j])))
            return 0;
    for (whole k = 0; k < L->n; k++)
        if (!free[k] && !(fabs(w->plus[k] - w->minus[k]) > SMALL * (w->plus[k] + w->minus[k])))
            return 0;
    return 1;
}

static void cheapest(Work *w, whole row, whole k, real slope)
{
    real ratio = w->scratch[k] / fabs(slope);
    if (row >= 0 && ratio > 0)
        w->start_price[row] = smaller(w->start_price[row], ratio);
}

/* Take in the rows and columns found wrong, at the price at which they could be served. */
static void admit(const Layout *L, Work *w, real *x, real *multipliers, flag *free, flag *active)
{
    whole n = L->n, m = L->m;
    for (whole k = 0; k < n; k++) {
        w->inner[k] = x[k] > 0 || w->V[L->at_lower + k] != 0 ? x[k] : w->memory[k];
        w->scratch[k] = 0;
    }
    points(L, w, w->inner, 1);
    for (whole t = 0; t < L->terms; t++) {
        whole i = L->term_instance[t];
        for (whole a = 0; a < L->family[L->term_family[t] * FAMILY + 2]; a++)
            w->scratch[L->column[i * L->slots + a]] +=
                fabs(w->V[t] * w->price[L->term_row[t]] * w->slope[i * L->slots + a]);
    }
    for (whole t = 0; t < L->linear; t++)
        w->scratch[L->linear_column[t]] += fabs(w->V[L->at_linear + t] * w->price[L->linear_row[t]]);
    for (whole j = 0; j < m; j++)
        w->start_price[j] = INFINITY;
    for (whole t = 0; t < L->terms; t++) {
        whole i = L->term_instance[t];
        for (whole a = 0; a < L->family[L->term_family[t] * FAMILY + 2]; a++)
            cheapest(w, L->term_row[t] - 1, L->column[i * L->slots + a], w->V[t] * w->slope[i * L->slots + a]);
    }
    for (whole t = 0; t < L->linear; t++)
        cheapest(w, L->linear_row[t] - 1, L->linear_column[t], w->V[L->at_linear + t]);
    for (whole j = 0; j < m; j++)
        if (w->out[j]) {
            real price = (isfinite(w->start_price[j]) ? w->start_price[j] : 1) * L->sign[j];
            if (!(fabs(multipliers[j]) > 1e-9 * fabs(price)))
                multipliers[j] = 1e-3 * price;
            active[j] = 1;
            w->flips[n + j]++;
        }
    for (whole k = 0; k < n; k++)
        if (w->high[k]) {
            x[k] = w->memory[k];
            free[k] = 1;
            w->flips[k]++;
        }
}

/* Drop rows whose multipliers turn negative, hold columns that come to rest; whether any. */
static int dismiss(const Layout *L, Work *w, real *x, flag *free, flag *active)
{
    whole n = L->n, m = L->m;
    real largest = -INFINITY;
    int any = 0;
    for (whole k = 0; k < n; k++) {
        w->down[k] = free[k] && w->du[k] < -1 && w->plus[k] > w->minus[k];
        if (w->down[k])
            largest = larger(largest, w->column_error[k]);
    }
    for (whole k = 0; k < n; k++)
        if (w->down[k])
            w->down[k] = !(w->size[k] <= 1e-6 * (w->plus[k] + w->minus[k])) || w->column_error[k] > 0.3 * largest;
    any = rest(L, w, x, free);
    for (whole j = 0; j < m; j++) {
        int negative = active[j] && w->flexible[j] && w->dv[j] < -1;
        w->doubts[j] = negative ? w->doubts[j] + 1 : 0;
        w->out[j] = negative && (w->dv[j] < -CERTAIN || w->doubts[j] > 2);
        any = any || w->out[j];
    }
    if (!any)
        return 0;
    for (whole k = 0; k < n; k++) {
        if (free[k] && x[k] > 0)
            w->memory[k] = x[k];
        if (w->down[k]) {
            free[k] = 0;
            x[k] = w->V[L->at_lower + k];
            w->flips[k]++;
        }
    }
    for (whole j = 0; j < m; j++)
        if (w->out[j]) {
            active[j] = 0;
            w->flips[n + j]++;
        }
    return 1;
}

/* Take the step, shortened if it is very long, and hold what crosses a bound. */
static void advance(const Layout *L, Work *w, real *x, real *multipliers, flag *free, real longest)
{
    for (whole k = 0; k < L->n; k++)
        if (free[k] && x[k] > 0)
            w->memory[k] = x[k];
    move(L, w, x, multipliers, longest > LONGEST ? LONGEST / longest : 1, 0);
    for (whole k = 0; k < L->n; k++) {
        real lower = w->V[L->at_lower + k], upper = w->V[L->at_upper + k];
        int low = free[k] && (x[k] <= lower || (lower == 0 && x[k] < TINY)), high = free[k] && x[k] >= upper;
        if (low || high) {
            x[k] = low ? lower : upper;
            free[k] = 0;
        }
    }
}

/* refine.settle, in place: the solution for the active set nearest to the guess; its error, inf for none. */
static real settle(const Layout *L, Work *w, real *x, real *multipliers, flag *free, flag *active, int steps)
{
    whole n = L->n, m = L->m;
    for (whole k = 0; k < n; k++)
        w->memory[k] = x[k] > 0 ? x[k] : 1;
    for (whole j = 0; j < m; j++) {
        active[j] = active[j] || !w->flexible[j];
        w->doubts[j] = 0;
    }
    memset(w->flips, 0, (n + m) * sizeof(whole));
    real best = INFINITY;
    int waited = 0, changed = 0;
    for (int count = 0; count <= steps; count++) {
        examine(L, w, x, multipliers, active);
        real error = residuals(L, w, x, multipliers, free, active, 0);
        int wrong = wrong_set(L, w, x, free, active);
        if (!wrong && error <= EXACT)
            return error;
        changed = changed || wrong;
        if (!wrong && error < 0.9 * best) {
            best = error, waited = changed = 0;
            copy(w->x_best, x, n);
            for (whole j = 0; j < m; j++)
                w->m_best[j] = active[j] ? multipliers[j] : 0;
        } else
            waited++;
        if (waited > (best < NOISE && !changed ? 2 : PATIENCE) || !isfinite(error))
            break;
        if (wrong && error < 1e-2)
            admit(L, w, x, multipliers, free, active);
        else {
            if (!step(L, w, x, free, active, 0))
                break;
            real longest = 0, calmest = 0;
            for (whole k = 0; k < n; k++)
                longest = fabs(w->du[k]) <= longest ? longest : fabs(w->du[k]);
            for (whole j = 0; j < m; j++)
                calmest = fabs(w->dv[j]) <= calmest ? calmest : fabs(w->dv[j]);
            if (!isfinite(longest) || !isfinite(calmest))
                break;
            int clear = clear_set(L, w, free, active), calm = longest < 1 && calmest < 1 && w->orthant && w->paid;
            if (calm || !dismiss(L, w, x, free, active)) {
                advance(L, w, x, multipliers, free, longest);
                /* Newton's next error is its square: too small to be seen, unless something hangs in the balance. */
                if (!wrong && error < LAST && longest < SMALL && calmest < SMALL && clear)
                    return larger(EXACT, error * error);
            }
        }
        int restless = 0;
        for (whole i = 0; i < n + m; i++)
            restless = restless || w->flips[i] > FLIPS;
        if (restless)
            break;
    }
    if (best < INFINITY) {
        copy(x, w->x_best, n);
        copy(multipliers, w->m_best, m);
        for (whole j = 0; j < m; j++)
            active[j] = multipliers[j] != 0;
    }
    return best;
}

/* ------------------------------------------------------------------------------------------------------------- nature */

/* f_k(x) and its slope, constants left out. */
static real cost(const Layout *L, Work *w, whole k, real x, real *slope)
{
    real value = 0, rise = 0;
    whole width = 1 + L->slots + L->most_turns;
    for (whole p = L->cost_linear_start[k]; p < L->cost_linear_start[k + 1]; p++) {
        real weight = w->V[L->at_linear + L->cost_linear[p]];
        value += weight * x, rise += weight;
    }
    w->probe[k] = x;
    for (whole p = L->cost_start[k]; p < L->cost_start[k + 1]; p++) {
        whole t = L->cost_term[p], f = L->term_family[t];
        play(L, w->V, w->probe, w->registers, f, L->term_instance[t], 1, 1);
        value += w->V[t] * w->registers[L->result[f * width] * BLOCK];
        rise += w->V[t] * w->registers[L->result[f * width + 1] * BLOCK];
    }
    *slope = rise;
    return value;
}

/* x with f_k(x) - f_k(base) = cost, by Newton's method in logarithms kept inside a bracket. */
static real inverse_cost(const Layout *L, Work *w, whole k, real log_cost, real base)
{
    real slope, at_base = cost(L, w, k, base, &slope), z = 0, low = -LARGEST, high = LARGEST;
    for (int count = 0; count < 100; count++) {
        real distance = exp(z), rise = cost(L, w, k, base + distance, &slope) - at_base, error = log(rise) - log_cost;
        if (error > 0)
            high = z;
        else
            low = z;
        if (fabs(error) < 1e-6 || high - low < 1e-6)
            break;
        real next = z - error * rise / (distance * slope);
        z = isfinite(next) && low < next && next < high ? next : (low + high) / 2;
    }
    return base + exp(z);
}

/* log w_k and 1/rho_k of f_k = w_k x^rho_k, once a problem. */
static void power_law(const Layout *L, Work *w)
{
    for (whole k = 0; k < L->n; k++) {
        real weight = 1;
        for (whole p = L->cost_linear_start[k]; p < L->cost_linear_start[k + 1]; p++)
            weight = w->V[L->at_linear + L->cost_linear[p]];
        for (whole p = L->cost_start[k]; p < L->cost_start[k + 1]; p++)
            weight = w->V[L->cost_term[p]];
        w->log_weight[k] = log(weight);
        w->inverse_exponent[k] = L->exponent[k] >= 0 ? 1 / w->V[L->exponent[k]] : 1;
    }
}

/* x_k(t) whatever the upper bound. */
static real supplied(const Layout *L, Work *w, whole k, real log_t)
{
    real lower = w->V[L->at_lower + k];
    if (L->powers && lower == 0)
        return exp(smaller(larger((log_t - w->log_weight[k]) * w->inverse_exponent[k], -LARGEST), LARGEST));
    return inverse_cost(L, w, k, log_t, lower);
}

/* What an own column gives for a cost of t, within its bounds. */
static real given(const Layout *L, Work *w, whole k, real log_t)
{
    real lower = w->V[L->at_lower + k], upper = w->V[L->at_upper + k];
    real top = isfinite(upper) ? upper - INSIDE * (upper - lower) : upper;
    return smaller(supplied(L, w, k, log_t), top);
}

/* Row j's body at x, the linear term in the column `without` left out. */
static real body(const Layout *L, Work *w, whole j, const real *x, whole without)
{
    real total = w->constant[j + 1];
    whole width = 1 + L->slots + L->most_turns, end = L->row_start[j + 2];
    for (whole p = L->row_start[j + 1]; p < end;) {
        whole t = L->row_term[p], f = L->term_family[t], first = L->term_instance[t], count = 1;
        while (p + count < end && count < BLOCK && L->term_family[L->row_term[p + count]] == f &&
               L->term_instance[L->row_term[p + count]] == first + count)
            count++;
        play(L, w->V, x, w->registers, f, first, count, 0);
        for (whole i = 0; i < count; i++)
            total += w->V[L->row_term[p + i]] * w->registers[L->result[f * width] * BLOCK + i];
        p += count;
    }
    for (whole p = L->row_linear_start[j + 1]; p < L->row_linear_start[j + 2]; p++) {
        whole t = L->row_linear[p];
        if (L->linear_column[t] != without)
            total += w->V[L->at_linear + t] * x[L->linear_column[t]];
    }
    return total;
}

/* Auxiliary columns at what defines them. */
static void complete(const Layout *L, Work *w, real *x)
{
    for (whole d = 0; d < L->definitions; d++)
        x[L->define_column[d]] = -body(L, w, L->define_row[d], x, L->define_column[d]);
}

/* log supply - log need of row j at x(t). */
static real lack(const Layout *L, Work *w, whole j, real log_t, real *x)
{
    for (whole k = 0; k < L->n; k++)
        x[k] = L->own[k] ? given(L, w, k, log_t) : 0;
    complete(L, w, x);
    real supply = body(L, w, j, x, -1) * L->relation[j] + w->needs[j];
    return supply > 0 ? log(supply / w->needs[j]) : -INFINITY;
}

/* log t_j, a little above: row j holds at x(t); whether there is one. */
static int row_size(const Layout *L, Work *w, whole j, real guess, real *found)
{
    real low = -LARGEST, high = LARGEST, f_low = -INFINITY, f_high = INFINITY, z = guess;
    for (int count = 0; count < 200; count++) {
        real f = lack(L, w, j, z, w->x_best);
        if (f >= 0) {
            high = z, f_high = f;
            if (f <= 2 * MARGIN || high - low < 1e-3 || z <= -LARGEST) {
                *found = z;
                return 1;
            }
        } else {
            low = z, f_low = f;
            if (z >= LARGEST)
                return 0;
            if (high - low < 1e-3) {
                *found = high;
                return high < LARGEST;
            }
        }
        real next;
        if (isfinite(f_low) && isfinite(f_high))
            next = low + smaller(larger((0.5 * MARGIN - f_low) / (f_high - f_low), 0.05), 0.95) * (high - low);
        else if (isfinite(f)) {
            real by = (0.5 * MARGIN - f) / 0.75;
            next = z + smaller(larger(by, -100), 100);
        } else
            next = z + 50;
        if (!(low < next && next < high)) {
            if (next >= high)
                next = f_high < INFINITY ? (low + high) / 2 : LARGEST;
            else
                next = isfinite(f_low) ? (low + high) / 2 : -LARGEST;
        }
        z = next;
    }
    *found = high;
    return high < LARGEST;
}

/* Natural costs of rows and columns and the natural point in x, as in scaling.natural. */
static int nature(const Layout *L, Work *w)
{
    whole n = L->n, m = L->m;
    real least = INFINITY, guess = 0;
    for (whole k = 0; k < n; k++)
        w->column_cost[k] = -INFINITY;
    for (whole j = 0; j < m; j++) {
        w->needs[j] = larger(-w->constant[j + 1] * L->relation[j], 0);
        w->row_cost[j] = -INFINITY;
        if (w->needs[j] > 0) {
            if (!row_size(L, w, j, guess, &w->row_cost[j]))
                return SHORT;
            if (w->row_cost[j] <= 1 - LARGEST)
                return SPECIAL;
            guess = w->row_cost[j];
            least = smaller(least, guess);
        }
    }
    for (whole p = 0; p < L->served; p++) {
        whole k = L->served_column[p];
        w->column_cost[k] = larger(w->column_cost[k], w->row_cost[L->served_row[p]]);
    }
    for (whole d = L->definitions - 1; d >= 0; d--)
        for (whole p = 0; p < L->served; p++)
            if (L->served_row[p] == L->define_row[d]) {
                whole k = L->served_column[p];
                w->column_cost[k] = larger(w->column_cost[k], w->column_cost[L->define_column[d]]);
            }
    for (whole k = 0; k < n; k++) {
        if (!isfinite(w->column_cost[k]))
            w->column_cost[k] = isfinite(least) ? least : 0;
        w->x[k] = L->own[k] ? given(L, w, k, w->column_cost[k] + MARGIN) : 0;
        w->column_cost[k] = exp(w->column_cost[k]);
    }
    complete(L, w, w->x);
    for (whole j = 0; j < m; j++)
        w->row_cost[j] = exp(w->row_cost[j]);
    return CONVERGED;
}

/* Multipliers of defining equalities chosen so that auxiliary columns are stationary. */
static void define_prices(const Layout *L, Work *w, const real *x, real *multipliers)
{
    if (!L->definitions)
        return;
    for (whole d = 0; d < L->definitions; d++)
        multipliers[L->define_row[d]] = 0;
    for (whole k = 0; k < L->n; k++)
        w->inner[k] = w->V[L->at_lower + k] >= 0 ? larger(x[k], TINY) : x[k];
    points(L, w, w->inner, 1);
    for (whole d = L->definitions - 1; d >= 0; d--) {
        whole column = L->define_column[d];
        real total = 0;
        for (whole t = 0; t < L->terms; t++) {
            whole i = L->term_instance[t], row = L->term_row[t];
            real price = row == 0 ? 1 : -multipliers[row - 1];
            for (whole a = 0; a < L->family[L->term_family[t] * FAMILY + 2]; a++)
                if (L->column[i * L->slots + a] == column)
                    total += w->V[t] * w->slope[i * L->slots + a] * price;
        }
        for (whole t = 0; t < L->linear; t++)
            if (L->linear_column[t] == column) {
                whole row = L->linear_row[t];
                total += w->V[L->at_linear + t] * (row == 0 ? 1 : -multipliers[row - 1]);
            }
        multipliers[L->define_row[d]] = total;
    }
}

/* The natural point with every row that asks for something active, worth its natural cost. */
static void from_nature(const Layout *L, Work *w)
{
    for (whole j = 0; j < L->m; j++) {
        int active = w->needs[j] > 0;
        w->multipliers[j] = active ? w->row_cost[j] / w->needs[j] * L->sign[j] : 0;
        w->active[j] = active || !w->flexible[j];
    }
    define_prices(L, w, w->x, w->multipliers);
    for (whole k = 0; k < L->n; k++)
        w->free[k] = w->V[L->at_lower + k] < w->x[k] && w->x[k] < w->V[L->at_upper + k];
}

/* ----------------------------------------------------------------------------------------------------------- the path */

/* The longest part of the step that keeps something of every slack and distance; the error there, -1 for none. */
static real path_step(const Layout *L, Work *w, real mu, real share)
{
    whole n = L->n, m = L->m;
    copy(w->x_old, w->x, n);
    copy(w->m_old, w->multipliers, m);
    copy(w->slack_old, w->slack, m);
    for (int count = 0; count < 40; count++, share *= 0.6) {
        copy(w->x, w->x_old, n);
        copy(w->multipliers, w->m_old, m);
        move(L, w, w->x, w->multipliers, share, mu);
        int good = 1;
        for (whole k = 0; k < n; k++) {
            real lower = w->V[L->at_lower + k], upper = w->V[L->at_upper + k];
            if (isfinite(lower) && !(w->x[k] - lower >= KEPT * (w->x_old[k] - lower)))
                good = 0;
            if (isfinite(upper) && !(upper - w->x[k] >= KEPT * (upper - w->x_old[k])))
                good = 0;
        }
        if (!good)
            continue;
        examine(L, w, w->x, w->multipliers, w->active);
        for (whole j = 0; j < m; j++)
            if (w->flexible[j] && w->active[j] && !(w->slack[j] >= KEPT * w->slack_old[j]))
                good = 0;
        if (good)
            return residuals(L, w, w->x, w->multipliers, w->free, w->active, mu);
        for (whole k = 0; k < n; k++) /* the step belongs to the old point: its widths are those of there */
            w->width[k] = w->logarithmic[k] ? w->x_old[k] : larger(fabs(w->x_old[k]), 1);
    }
    copy(w->x, w->x_old, n);
    copy(w->multipliers, w->m_old, m);
    return -1;
}

/* The active set as the path shows it: of each distance and its multiplier, what shrinks. */
static void see(const Layout *L, Work *w, real mu, real mu_earlier)
{
    whole n = L->n, m = L->m;
    real shrunk = sqrt(mu / mu_earlier), *x = w->guess_x;
    flag *free = w->guess_free;
    for (whole j = 0; j < m; j++) {
        real ratio = w->m_earlier[j] != 0 ? fabs(w->multipliers[j] / w->m_earlier[j]) : 1;
        w->guess_active[j] = !w->flexible[j] || (w->active[j] && w->slack[j] / w->slack_earlier[j] < ratio);
        w->guess_m[j] = w->multipliers[j];
    }
    for (whole k = 0; k < n; k++) {
        real lower = w->V[L->at_lower + k], upper = w->V[L->at_upper + k];
        int bound = L->own[k] && w->column_cost[k] > 0 && w->free[k];
        int high = bound && isfinite(upper) && (upper - w->x[k]) / (upper - w->x_earlier[k]) < shrunk;
        w->high[k] = bound && isfinite(lower) && (w->x[k] - lower) / (w->x_earlier[k] - lower) < shrunk;
        x[k] = high ? upper : smaller(larger(w->x[k], lower), upper);
        free[k] = lower < upper && !high;
    }
    examine(L, w, x, w->guess_m, w->guess_active);
    memcpy(w->down, w->high, n);
    if (rest(L, w, x, free))
        for (whole k = 0; k < n; k++)
            if (w->down[k]) {
                x[k] = w->V[L->at_lower + k];
                free[k] = 0;
            }
}

static void remember(const Layout *L, Work *w)
{
    copy(w->x_earlier, w->x, L->n);
    copy(w->m_earlier, w->multipliers, L->m);
    copy(w->slack_earlier, w->slack, L->m);
}

/* refine.follow from the natural point, settling at its ends; the error of the first that settles, left in guess_x. */
static real follow(const Layout *L, Work *w)
{
    static const real ends[] = {3e-2, 1e-3, 1e-6, 1e-12, 1e-40}; /* mostly the first shows enough */
    whole n = L->n, m = L->m;
    real mu = 1, mu_earlier = 1;
    from_nature(L, w);
    for (whole k = 0; k < n; k++)
        w->free[k] = w->V[L->at_lower + k] < w->V[L->at_upper + k];
    examine(L, w, w->x, w->multipliers, w->active);
    for (whole j = 0; j < m; j++)
        w->multipliers[j] =
            w->active[j] && w->flexible[j] ? mu * w->row_cost[j] / fabs(w->slack[j]) * L->sign[j] : 0;
    define_prices(L, w, w->x, w->multipliers);
    examine(L, w, w->x, w->multipliers, w->active);
    real error = residuals(L, w, w->x, w->multipliers, w->free, w->active, mu);
    remember(L, w);
    int steps = PATH_STEPS;
    for (int e = 0; e < 5; e++) {
        while (steps-- > 0) {
            if (error < CENTRED) {
                if (mu <= ends[e])
                    break;
                mu_earlier = mu;
                remember(L, w);
                mu = larger(smaller(0.1 * mu, pow(mu, 1.5)), ends[e]);
                error = residuals(L, w, w->x, w->multipliers, w->free, w->active, mu);
            }
            if (!step(L, w, w->x, w->free, w->active, mu))
                break;
            real longest = 0;
            for (whole k = 0; k < n; k++)
                longest = fabs(w->du[k]) <= longest ? longest : fabs(w->du[k]);
            for (whole j = 0; j < m; j++)
                longest = fabs(w->dv[j]) <= longest ? longest : fabs(w->dv[j]);
            if (!isfinite(longest))
                break;
            error = path_step(L, w, mu, longest > STRIDE ? STRIDE / longest : 1);
            if (error < 0)
                break;
        }
        if (mu == mu_earlier)
            return INFINITY;
        see(L, w, mu, mu_earlier);
        real found = settle(L, w, w->guess_x, w->guess_m, w->guess_free, w->guess_active, STEPS);
        if (found <= SOUND)
            return found;
        examine(L, w, w->x, w->multipliers, w->active);
        error = residuals(L, w, w->x, w->multipliers, w->free, w->active, mu);
    }
    return INFINITY;
}

/* --------------------------------------------------------------------------------------------------------- one by one */

/* Where the convex f_k is smallest, by bisection on the sign of its slope over the logarithm of the distance. */
static real least_cost(const Layout *L, Work *w, whole k, real lower, real upper)
{
    real low = -LARGEST, high = LARGEST, slope;
    for (int count = 0; count < 80; count++) {
        real middle = (low + high) / 2;
        cost(L, w, k, smaller(lower + exp(middle), upper), &slope);
        if (slope < 0)
            low = middle;
        else
            high = middle;
    }
    return smaller(lower + exp(high), upper);
}

/* The largest x with f_k(x) <= limit, f_k rising from bottom on; infinite where there is no largest. */
static real last_cost(const Layout *L, Work *w, whole k, real bottom, real limit)
{
    real low = -LARGEST, high = LARGEST, slope;
    for (int count = 0; count < 80; count++) {
        real middle = (low + high) / 2;
        if (cost(L, w, k, bottom + exp(middle), &slope) <= limit)
            low = middle;
        else
            high = middle;
    }
    return high >= LARGEST ? INFINITY : bottom + exp(high);
}

/* A box that holds every optimum, given a feasible x: no separate convex cost can exceed what the others leave of the
 * value there (gap.reach). It is unbounded where the objective's form gives none. */
static void reach(const Layout *L, Work *w, int monotone, real *low, real *high)
{
    real slope, *bottom = w->other_plus, *least = w->other_minus, spent = 0;
    for (whole k = 0; k < L->n; k++) {
        low[k] = w->V[L->at_lower + k], high[k] = w->V[L->at_upper + k];
        bottom[k] = low[k];
        if (!L->own[k])
            continue;
        if (!L->separate || !isfinite(low[k])) {
            spent = INFINITY;
            continue;
        }
        if (!monotone)
            bottom[k] = least_cost(L, w, k, low[k], high[k]);
        least[k] = cost(L, w, k, bottom[k], &slope);
        spent += larger(cost(L, w, k, w->x[k], &slope) - least[k], 0);
    }
    if (!isfinite(spent))
        return;
    real room = log(larger(spent, 1e-300) * (1 + 1e-9));
    for (whole k = 0; k < L->n; k++)
        if (L->own[k]) {
            real end = monotone ? low[k] + (supplied(L, w, k, room) - low[k]) * (1 + 1e-5)
                                : last_cost(L, w, k, bottom[k], least[k] + spent + 1e-9 * fabs(least[k]));
            high[k] = smaller(high[k], end);
        }
}

/* One problem, its numbers in V: the solution in x, multipliers. */
static whole one(const Layout *L, Work *w, int near, int *monotone)
{
    for (whole k = 0; k < L->n; k++)
        if (w->V[L->at_lower + k] > w->V[L->at_upper + k])
            return CROSSED;
    *monotone = load(L, w);
    for (whole k = 0; k < L->n && *monotone; k++) {
        real total = 0;
        for (whole p = L->cost_start[k]; p < L->cost_start[k + 1]; p++)
            total += w->V[L->cost_term[p]];
        for (whole p = L->cost_linear_start[k]; p < L->cost_linear_start[k + 1]; p++)
            total += w->V[L->at_linear + L->cost_linear[p]];
        if (L->own[k] && total == 0)
            return SPECIAL;
    }
    if (L->powers && *monotone)
        power_law(L, w);
    if (near) { /* from a neighbour's solution */
        copy(w->x, w->x_near, L->n);
        copy(w->multipliers, w->m_near, L->m);
        for (whole k = 0; k < L->n; k++) {
            real lower = w->V[L->at_lower + k], upper = w->V[L->at_upper + k];
            w->x[k] = smaller(larger(w->x[k], lower), upper);
            w->free[k] = lower < w->x[k] && w->x[k] < upper;
        }
        complete(L, w, w->x);
        define_prices(L, w, w->x, w->multipliers);
        for (whole j = 0; j < L->m; j++)
            w->active[j] = w->multipliers[j] != 0 || !w->flexible[j];
        if (settle(L, w, w->x, w->multipliers, w->free, w->active, NEAR_STEPS) <= SOUND) {
            for (whole j = 0; j < L->m; j++)
                if (!w->active[j])
                    w->multipliers[j] = 0;
            return CONVERGED;
        }
    }
    if (!*monotone)
        return LOST;
    whole status = nature(L, w);
    if (status != CONVERGED)
        return status;
    if (L->n <= L->few) {
        copy(w->x_path, w->x, L->n);
        from_nature(L, w);
        if (settle(L, w, w->x, w->multipliers, w->free, w->active, NEAR_STEPS) <= SOUND) {
            for (whole j = 0; j < L->m; j++)
                if (!w->active[j])
                    w->multipliers[j] = 0;
            return CONVERGED;
        }
        copy(w->x, w->x_path, L->n);
    }
    if (!L->separable || follow(L, w) > SOUND)
        return LOST;
    copy(w->x, w->guess_x, L->n);
    for (whole j = 0; j < L->m; j++)
        w->multipliers[j] = w->guess_active[j] ? w->guess_m[j] : 0;
    return CONVERGED;
}

/* Problems one after the other: what open entries are multiplied by, (count, opens), to solutions, the boxes that hold
 * every optimum, and how each ended. Related problems start from the one before, the first from start_x, start_m if
 * these are not null; what is not monotone has no other start. Returns 0 where there was no room. */
int mechdsl_solve(const Layout *L, const real *numbers, const whole *open_at, whole opens, const real *opened, whole count,
                  whole related, const real *start_x, const real *start_m, real *x, real *multipliers, real *low, real *high, whole *status)
{
    Work work, *w = &work;
    if (!room(L, w))
        return 0;
    int near = start_x != NULL;
    if (near) {
        copy(w->x_near, start_x, L->n);
        copy(w->m_near, start_m, L->m);
    }
    copy(w->V, numbers, L->numbers);
    for (whole p = 0; p < count; p++) {
        for (whole i = 0; i < opens; i++)
            w->V[open_at[i]] = numbers[open_at[i]];
        for (whole i = 0; i < opens; i++)
            w->V[open_at[i]] *= opened[p * opens + i];
        int monotone;
        status[p] = one(L, w, near, &monotone);
        if (related && status[p] == CONVERGED) {
            near = 1;
            copy(w->x_near, w->x, L->n);
            copy(w->m_near, w->multipliers, L->m);
        }
        copy(x + p * L->n, w->x, L->n);
        copy(multipliers + p * L->m, w->multipliers, L->m);
        if (status[p] == CONVERGED)
            reach(L, w, monotone, low + p * L->n, high + p * L->n);
    }
    free(w->memory_of_all);
    return 1;
}
