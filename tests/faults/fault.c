/* Makes chosen calls of the C library fail, for tests: LD_PRELOAD=fault.so with
 *
 *   FAULT_CALL   open, read, write, sync, rename, stat or list
 *   FAULT_BELOW  folder: only calls on paths below it count
 *   FAULT_AT     the first call that fails, from 1; none without it
 *   FAULT_TIMES  how many calls fail from there on; 0 for all
 *   FAULT_ERRNO  number of the error; `short` for a read or write of half of the bytes
 *   FAULT_COUNT  file that gets the number of calls and of faults when the process ends
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *call, *below, *count_file;
static long at, times = 1;
static int number, is_short;
static atomic_long seen, failed;

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("FAULT_ERRNO");
    call = getenv("FAULT_CALL");
    below = getenv("FAULT_BELOW");
    count_file = getenv("FAULT_COUNT");
    is_short = text && strcmp(text, "short") == 0;
    number = text ? atoi(text) : 0;
    at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
    times = getenv("FAULT_TIMES") ? atol(getenv("FAULT_TIMES")) : 1;
}

__attribute__((destructor)) static void end(void) {
    char text[64];
    if (!count_file) return;
    long fd = syscall(SYS_openat, AT_FDCWD, count_file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    int n = snprintf(text, sizeof text, "%ld %ld\n", atomic_load(&seen), atomic_load(&failed));
    if (fd >= 0 && syscall(SYS_write, fd, text, n) == n) syscall(SYS_close, fd);
}

/* Whether this call is one that fails. */
static int fails(const char *name, const char *path) {
    size_t length;
    if (!call || !below || !path || strcmp(call, name) != 0) return 0;
    length = strlen(below);
    if (strncmp(path, below, length) != 0 || (path[length] != '/' && path[length] != 0)) return 0;
    long n = atomic_fetch_add(&seen, 1) + 1;
    if (at == 0 || n < at || (times != 0 && n >= at + times)) return 0;
    atomic_fetch_add(&failed, 1);
    if (!is_short) errno = number;
    return 1;
}

static int fails_fd(const char *name, int fd) {
    char link[64], path[PATH_MAX];
    if (!call || strcmp(call, name) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long n = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return fails(name, path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int open_with(__typeof__(&open) next, const char *path, int flags, mode_t mode) {
    if (fails("open", path)) return -1;
    return next(path, flags, mode);
}

#define OPEN(name)                                              \
    int name(const char *path, int flags, ...) {                \
        va_list rest;                                           \
        va_start(rest, flags);                                  \
        mode_t mode = va_arg(rest, mode_t);                     \
        va_end(rest);                                           \
        return open_with(NEXT(name), path, flags, mode);        \
    }
OPEN(open)
OPEN(open64)

ssize_t read(int fd, void *to, size_t n) {
    if (n > 0 && fails_fd("read", fd)) {
        if (!is_short) return -1;
        n = n > 1 ? n / 2 : n;
    }
    return NEXT(read)(fd, to, n);
}

ssize_t write(int fd, const void *from, size_t n) {
    if (n > 0 && fails_fd("write", fd)) {
        if (!is_short) return -1;
        n = n > 1 ? n / 2 : n;
    }
    return NEXT(write)(fd, from, n);
}

int fsync(int fd) {
    if (fails_fd("sync", fd)) return -1;
    return NEXT(fsync)(fd);
}

int fdatasync(int fd) {
    if (fails_fd("sync", fd)) return -1;
    return NEXT(fdatasync)(fd);
}

int rename(const char *from, const char *to) {
    if (fails("rename", to)) return -1;
    return NEXT(rename)(from, to);
}

int statx(int folder, const char *path, int flags, unsigned mask, struct statx *to) {
    if (*path && fails("stat", path)) return -1;
    return NEXT(statx)(folder, path, flags, mask, to);
}

DIR *opendir(const char *path) {
    if (fails("list", path)) return NULL;
    return NEXT(opendir)(path);
}
