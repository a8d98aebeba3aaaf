// SPDX-License-Identifier: Apache-2.0
#include "polling/call_filter.hpp"

#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <memory>

#include <linux/sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

// Landlock knows files, and of what reaches other processes only signals and tracing. The rest is shut here:
// a plugin's process has the gateway's user, so permissions do not stand between the two.
namespace things {

namespace {

/// Names that this libseccomp or this machine does not have are passed over.
constexpr const char* allowed[] = {
    // files, by what Landlock lets it see
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2",
    "open", "openat", "openat2", "creat", "close", "close_range", "dup", "dup2", "dup3", "fcntl", "fcntl64",
    "flock", "lseek", "_llseek", "stat", "fstat", "lstat", "stat64", "fstat64", "lstat64", "newfstatat",
    "fstatat64", "statx", "statfs", "fstatfs", "statfs64", "fstatfs64", "access", "faccessat", "faccessat2",
    "readlink", "readlinkat", "getdents", "getdents64", "getcwd", "chdir", "fchdir", "umask", "ftruncate",
    "ftruncate64", "fallocate", "fsync", "fdatasync", "sync_file_range", "sync_file_range2",
    "arm_sync_file_range", "fadvise64", "fadvise64_64", "arm_fadvise64_64", "readahead", "sendfile",
    "sendfile64", "splice", "tee", "vmsplice", "copy_file_range", "mkdir", "mkdirat", "rmdir", "unlink",
    "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "ioctl",
    "inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "landlock_create_ruleset",
    "landlock_add_rule", "landlock_restrict_self",
    // memory
    "brk", "mmap", "mmap2", "munmap", "mprotect", "mremap", "msync", "madvise", "mincore", "mlock", "mlock2",
    "munlock", "membarrier", "memfd_create",
    // threads and programs of its own
    "fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "waitpid", "getpid",
    "getppid", "gettid", "getpgid", "getpgrp", "getsid", "set_tid_address", "set_robust_list",
    "get_robust_list", "rseq", "futex", "futex_time64", "futex_waitv", "sched_yield", "sched_getaffinity",
    "sched_getparam", "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min", "getpriority",
    "getcpu", "arch_prctl", "cacheflush", "set_tls", "get_tls", "breakpoint", "getrlimit", "ugetrlimit",
    "setrlimit", "getrusage", "times", "sysinfo", "uname", "getuid", "geteuid", "getgid", "getegid",
    "getresuid", "getresgid", "getgroups", "getuid32", "geteuid32", "getgid32", "getegid32", "getresuid32",
    "getresgid32", "getgroups32", "capget", "getrandom", "restart_syscall",
    // what its own signals need
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigsuspend", "rt_sigtimedwait",
    "rt_sigtimedwait_time64", "sigaction", "sigprocmask", "sigreturn", "sigsuspend", "sigaltstack",
    "signalfd", "signalfd4", "pause", "alarm", "getitimer", "setitimer",
    // time; adjtimex is how one asks whether the clock is right, and setting it takes a capability
    "time", "gettimeofday", "clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64",
    "nanosleep", "clock_nanosleep", "clock_nanosleep_time64", "timer_create", "timer_settime",
    "timer_settime64", "timer_gettime", "timer_gettime64", "timer_getoverrun", "timer_delete",
    "timerfd_create", "timerfd_settime", "timerfd_settime64", "timerfd_gettime", "timerfd_gettime64",
    "adjtimex", "clock_adjtime", "clock_adjtime64",
    // waiting
    "poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64", "epoll_create",
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd", "eventfd2", "pipe", "pipe2",
    // sockets, once it has one
    "connect", "bind", "listen", "accept", "accept4", "getsockname", "getpeername", "sendto", "sendmsg",
    "sendmmsg", "recvfrom", "recvmsg", "recvmmsg", "recvmmsg_time64", "send", "recv", "shutdown",
    "setsockopt", "getsockopt"};

/// For which a library has another way where the kernel does not know them: clone3 hides its flags in memory,
/// where no filter looks.
constexpr const char* unknown[] = {"clone3", "mseal", "map_shadow_stack", "fchmodat2", "epoll_pwait2"};

constexpr int families[] = {AF_INET, AF_INET6, AF_NETLINK, AF_CAN, AF_BLUETOOTH};

/// What prctl may be asked. Its death with the gateway, its traceability and its filters stay as they are.
constexpr int asked_of_prctl[] = {PR_SET_NAME,         PR_GET_NAME,         PR_GET_DUMPABLE,
                                  PR_GET_PDEATHSIG,    PR_GET_TIMERSLACK,   PR_SET_TIMERSLACK,
                                  PR_GET_SECCOMP,      PR_CAPBSET_READ,     PR_GET_TID_ADDRESS,
                                  PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_SET_VMA};

constexpr unsigned long namespaces =
    CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;

/// The rules of one filter; what none of them names is refused. A name that means nothing here is passed
/// over.
class Filter {
public:
    Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release) {
        // A foreign architecture's numbers mean other calls.
        is_good_ =
            context_ && seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM)) == 0;
    }
    void add(std::uint32_t action, const char* name, std::initializer_list<scmp_arg_cmp> conditions = {}) {
        const int call = seccomp_syscall_resolve_name(name);
        if (!is_good_ || call == __NR_SCMP_ERROR)
            return;
        const int result = seccomp_rule_add_array(
            context_.get(), action, call, static_cast<unsigned>(conditions.size()), conditions.begin());
        is_good_ = result == 0 || call < 0; // negative: a call that only other machines have
    }
    void allow(const char* name, std::initializer_list<scmp_arg_cmp> conditions = {}) {
        add(SCMP_ACT_ALLOW, name, conditions);
    }
    [[nodiscard]] bool load() { return is_good_ && seccomp_load(context_.get()) == 0; }

private:
    std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
    bool is_good_ = false;
};

scmp_arg_cmp equals(unsigned argument, std::uint64_t value) {
    return {argument, SCMP_CMP_EQ, value, 0};
}
scmp_arg_cmp masked(unsigned argument, std::uint64_t mask, std::uint64_t value) {
    return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

void allow_signals(Filter& filter, const CallRights& rights) {
    if (rights.signals)
        for (const char* name : {"kill", "tgkill", "tkill"})
            filter.allow(name);
    else // abort() in this process
        filter.allow("tgkill", {equals(0, static_cast<std::uint64_t>(getpid()))});
    if (rights.groups)
        for (const char* name : {"setsid", "setpgid"})
            filter.allow(name);
}

void allow_sockets(Filter& filter) {
    for (const int family : families)
        filter.allow("socket", {equals(0, static_cast<std::uint64_t>(family))});
    // A pair of datagram sockets would be one with which to reach the journal or the service manager.
    constexpr std::uint64_t type = 0xf;
    for (const int kind : {SOCK_STREAM, SOCK_SEQPACKET})
        filter.allow("socketpair", {equals(0, AF_UNIX), masked(1, type, static_cast<std::uint64_t>(kind))});
}

} // namespace

bool filter_calls(const CallRights& rights) {
    Filter filter;
    for (const char* name : allowed)
        filter.allow(name);
    for (const char* name : unknown)
        filter.add(SCMP_ACT_ERRNO(ENOSYS), name);
    allow_signals(filter, rights);
    allow_sockets(filter);
    filter.allow("clone", {masked(0, namespaces, 0)});
    filter.allow("prlimit64", {equals(0, 0)}); // its own limits
    filter.allow("personality", {equals(0, 0xffffffff)});
    for (const int question : asked_of_prctl)
        filter.allow("prctl", {equals(0, static_cast<std::uint64_t>(question))});
    // A program that it starts may be told to die with it; nobody is told to live on.
    filter.allow("prctl", {equals(0, PR_SET_PDEATHSIG), {1, SCMP_CMP_NE, 0, 0}});
    return filter.load();
}

} // namespace things
