/* Tells ThreadSanitizer of the slow ways of Swift's Mutex, which are in a library that is not
 * instrumented. Linked with --wrap of both; see scripts/sanitized. */
#include <stdint.h>

#define SELF __attribute__((swift_context)) void *self
#define SWIFT __attribute__((swiftcall))
#define NAME(what, mangled) __asm__("__" what "_$s15Synchronization12_MutexHandleV" mangled)

void __tsan_acquire(void *);
void __tsan_release(void *);

SWIFT void real_lock(uint32_t thread, SELF) NAME("real", "9_lockSlowyys6UInt32VF");
SWIFT void real_unlock(SELF) NAME("real", "11_unlockSlowyyF");
SWIFT void lock(uint32_t thread, SELF) NAME("wrap", "9_lockSlowyys6UInt32VF");
SWIFT void unlock(SELF) NAME("wrap", "11_unlockSlowyyF");

SWIFT void lock(uint32_t thread, SELF) {
    real_lock(thread, self);
    __tsan_acquire(self);
}

SWIFT void unlock(SELF) {
    __tsan_release(self);
    real_unlock(self);
}
