/*
 * ABI version and the rules that every header here keeps.
 *
 * The entry symbol carries the major version. A host of minor version N takes every library that
 * needs N or less, down to 2: minor 1 was a draft. Within `_v0` that is kept by tests that replay
 * old binaries; from `_v1` on it is a promise.
 *
 * Rules
 *  1. Only fixed-width integers, pointers, and structs of them cross the boundary.
 *  2. A published struct never changes its size or its members. Growth goes into the `reserved`
 *     words, which a writer sets to zero and a reader ignores, or into a new interface id.
 *  3. `size` words are a check, not a means of growth: both sides refuse a struct whose size is not
 *     the one they were compiled with.
 *  4. A slot of a table is never re-used, re-typed or re-ordered. NULL means "not offered".
 *  5. Nobody frees the other side's memory.
 *  6. No exception, panic or unwinding crosses the boundary.
 *
 * Threads, named at the end of each function's comment, with the phases where that matters
 *  [control]  one thread at a time, before workers run or while they do; calls never overlap.
 *  [worker]   the worker thread that owns the request or the slot; never two at once per request.
 *  [blocking] a thread of the host's pool for work that blocks.
 *  [any]      any thread.
 *
 * Lifetimes, named at each pointer
 *  call       until the function it was given to returns.
 *  hook       until the running hook returns.
 *  request    until the request's `request_end` hook returned.
 *  instance   until the instance's `destroy` returned.
 *  process    for ever.
 */
#ifndef SLUICE_VERSION_H
#define SLUICE_VERSION_H

#define SLUICE_ABI_MAJOR 0u
#define SLUICE_ABI_MINOR 2u

#endif
