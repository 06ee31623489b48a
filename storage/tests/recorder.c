/* Loaded before the C library into a process under test, this records everything that the process does to the files
 * below one folder, in order: names, bytes, and what it asks the system to bring to the disk. From the record the test
 * rebuilds the folder as a disk may hold it after the power was cut (powercut.rs). Part of no program.
 *
 * RECORD_FOLDER  absolute path of the folder
 * RECORD_FILE    where the record goes; every call is recorded before the process goes on
 * RECORD_NO_SYNC if set, syncing is left out of the record: as if it had no effect
 *
 * A record is: what happened (one letter), a number of the file, an offset or size, two lengths, and so many bytes:
 * W write at offset, T cut or extend to size, S sync of a file, C created at path, A another name, R renamed (two paths),
 * U removed, M folder made, F sync of a folder. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FD 4096
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char ours[MAX_FD];
static int record = -1, no_sync;
static const char *folder;
static size_t folder_len;

static void __attribute__((constructor)) start(void) {
    const char *file = getenv("RECORD_FILE");
    folder = getenv("RECORD_FOLDER");
    no_sync = getenv("RECORD_NO_SYNC") != NULL;
    if (!file || !folder) return;
    folder_len = strlen(folder);
    int fd = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    record = fcntl(fd, F_DUPFD_CLOEXEC, 900);
    syscall(SYS_close, fd);
}

static void put(const void *bytes, size_t len) {
    for (const char *at = bytes; len > 0;) {
        ssize_t n = syscall(SYS_write, record, at, len);
        if (n <= 0) abort();
        at += n;
        len -= n;
    }
}

static void note(char what, uint64_t file, uint64_t at, const void *a, size_t a_len, const void *b, size_t b_len) {
    unsigned char head[25];
    uint32_t lens[2] = {(uint32_t)a_len, (uint32_t)b_len};
    head[0] = what;
    memcpy(head + 1, &file, 8);
    memcpy(head + 9, &at, 8);
    memcpy(head + 17, lens, 8);
    put(head, sizeof head);
    put(a, a_len);
    put(b, b_len);
}

static void note_path(char what, uint64_t file, const char *path) { note(what, file, 0, path, strlen(path), "", 0); }

static int inside(const char *path) {
    return record >= 0 && strncmp(path, folder, folder_len) == 0 && (path[folder_len] == '/' || path[folder_len] == 0);
}

static int known(int fd) { return record >= 0 && fd >= 0 && fd < MAX_FD && ours[fd]; }

static uint64_t number(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static uint64_t size_of(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int opened(int fd, const char *path, int flags, int was_there) {
    if (fd < 0 || fd >= MAX_FD) return fd;
    ours[fd] = 1;
    if ((flags & O_CREAT) && !was_there) note_path('C', number(fd), path);
    else if (flags & O_TRUNC) note('T', number(fd), 0, "", 0, "", 0);
    return fd;
}

static int do_open(int dir, const char *path, int flags, mode_t mode) {
    if (!inside(path)) return syscall(SYS_openat, dir, path, flags, mode);
    pthread_mutex_lock(&lock);
    int was_there = access(path, F_OK) == 0;
    int fd = opened(syscall(SYS_openat, dir, path, flags, mode), path, flags, was_there);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE                                                                                                         \
    va_list rest;                                                                                                    \
    va_start(rest, flags);                                                                                           \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                          \
    va_end(rest)

int open(const char *path, int flags, ...) { MODE; return do_open(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE; return do_open(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE; return do_open(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE; return do_open(dir, path, flags, mode); }

int close(int fd) {
    if (fd >= 0 && fd < MAX_FD) ours[fd] = 0;
    return syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *bytes, size_t len) {
    if (!known(fd)) return syscall(SYS_write, fd, bytes, len);
    pthread_mutex_lock(&lock);
    ssize_t n = syscall(SYS_write, fd, bytes, len);
    if (n > 0) note('W', number(fd), lseek(fd, 0, SEEK_CUR) - n, bytes, n, "", 0);
    pthread_mutex_unlock(&lock);
    return n;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!known(fd)) return syscall(SYS_writev, fd, parts, count);
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t n = write(fd, parts[i].iov_base, parts[i].iov_len);
        if (n < 0) return sum > 0 ? sum : n;
        sum += n;
        if ((size_t)n < parts[i].iov_len) break;
    }
    return sum;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) {
    if (!known(fd)) return syscall(SYS_pwrite64, fd, bytes, len, at);
    pthread_mutex_lock(&lock);
    ssize_t n = syscall(SYS_pwrite64, fd, bytes, len, at);
    if (n > 0) note('W', number(fd), at, bytes, n, "", 0);
    pthread_mutex_unlock(&lock);
    return n;
}
ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at) { return pwrite(fd, bytes, len, at); }

int ftruncate(int fd, off_t size) {
    if (!known(fd)) return syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    int result = syscall(SYS_ftruncate, fd, size);
    if (result == 0) note('T', number(fd), size, "", 0, "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int fallocate(int fd, int mode, off_t at, off_t len) {
    pthread_mutex_lock(&lock);
    int result = syscall(SYS_fallocate, fd, mode, at, len);
    if (result == 0 && known(fd)) note('T', number(fd), size_of(fd), "", 0, "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int fallocate64(int fd, int mode, off_t at, off_t len) { return fallocate(fd, mode, at, len); }

/* These would go past the record; callers fall back to writing. */
ssize_t copy_file_range(int a, off64_t *b, int c, off64_t *d, size_t e, unsigned f) {
    (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
    errno = ENOSYS;
    return -1;
}
ssize_t sendfile(int a, int b, off_t *c, size_t d) {
    (void)a, (void)b, (void)c, (void)d;
    errno = ENOSYS;
    return -1;
}

static int synced(int fd, long call) {
    if (!known(fd)) return syscall(call, fd);
    pthread_mutex_lock(&lock);
    int result = syscall(call, fd);
    struct stat st;
    if (result == 0 && !no_sync && fstat(fd, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            char link[64], path[4096];
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t n = readlink(link, path, sizeof path - 1);
            if (n > 0) note('F', st.st_ino, 0, path, n, "", 0);
        } else {
            note('S', st.st_ino, 0, "", 0, "", 0);
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

#define CHANGE(inside_it, call, noting)                                                                              \
    pthread_mutex_lock(&lock);                                                                                       \
    int result = (call);                                                                                             \
    if (result == 0 && (inside_it)) noting;                                                                          \
    pthread_mutex_unlock(&lock);                                                                                     \
    return result

int rename(const char *from, const char *to) {
    CHANGE(inside(from), syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to),
           note('R', 0, 0, from, strlen(from), to, strlen(to)));
}
int unlink(const char *path) { CHANGE(inside(path), syscall(SYS_unlinkat, AT_FDCWD, path, 0), note_path('U', 0, path)); }
int remove(const char *path) { return unlink(path); }
int mkdir(const char *path, mode_t mode) {
    CHANGE(inside(path), syscall(SYS_mkdirat, AT_FDCWD, path, mode), note_path('M', 0, path));
}
int link(const char *from, const char *to) {
    CHANGE(inside(to), syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0),
           note('A', 0, 0, from, strlen(from), to, strlen(to)));
}
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    (void)from_dir, (void)to_dir, (void)flags;
    return link(from, to);
}
