// SPDX-License-Identifier: Apache-2.0
#include "polling/host_limits.hpp"

#include "platform/privileges.hpp"
#include "polling/call_filter.hpp"
#include "polling/landlock.hpp"

#include <algorithm>
#include <csignal>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace things {

namespace {

void set_limit(__rlimit_resource resource, rlim_t most) {
    rlimit limit{};
    getrlimit(resource, &limit);
    limit.rlim_max = std::min(limit.rlim_max, most);
    limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
    setrlimit(resource, &limit);
}

void close_from(unsigned first) {
#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, ~0U, 0) == 0)
        return;
#endif
    for (int fd = static_cast<int>(first); fd < 4096; ++fd)
        ::close(fd);
}

/// The kernel's memory killer takes this process before the gateway.
void volunteer_for_the_killer() {
    const int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    (void)!::write(file, "1000", 4);
    ::close(file);
}

} // namespace

std::optional<Confinement> limit_host(const HostLimits& limits) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_NAME, "plugin-host");
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); // so that the gateway finds what the plugin started
    // What the gateway has open is not the plugin's: database, sockets, other sources' ports.
    close_from(static_cast<unsigned>(std::max(limits.socket, limits.wake) + 1));
    for (const int fd : {limits.socket, limits.wake})
        fcntl(fd, F_SETFD, FD_CLOEXEC); // not for programs that the plugin starts
    // A core would hold the source's secrets.
    set_limit(RLIMIT_CORE, 0);
    // A leak ends in this process, not in the machine.
    set_limit(RLIMIT_NOFILE, 256);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they map terabytes
    if (limits.memory > 0 && !limits.runs_programs) {
        // Data is what counts; address space, which threads and libraries reserve without using it, is
        // bounded more loosely.
        set_limit(RLIMIT_DATA, static_cast<rlim_t>(limits.memory));
        set_limit(RLIMIT_AS, static_cast<rlim_t>(limits.memory) * 4 + (rlim_t{512} << 20U));
    }
#endif
    volunteer_for_the_killer();
    Confinement done;
    done.plugin = limits.plugin;
    if (limits.user)
        if (const int file = open(limits.plugin.c_str(), O_RDONLY | O_CLOEXEC); file >= 0)
            done.plugin = "/proc/self/fd/" + std::to_string(file);
    const long version = limits.kernel < 0 ? landlock_version() : std::min(limits.kernel, landlock_version());
    // While it still has the user who may open them: a folder may be closed to the one it becomes.
    if (limits.walls)
        done.files = hide_files({limits.plugin, limits.named, limits.folders}, version);
    if (limits.user && !become(*limits.user, false))
        return std::nullopt;
    if (limits.user)
        prctl(PR_SET_DUMPABLE, 1, 0, 0,
              0); // else its own /proc belongs to root; there is no core, and no peer
    drop_capabilities();
    // Only now: another user's process no longer dies with its parent. A host that outlives its gateway would
    // hold the serial port against the next one.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (limits.parent > 0 && getppid() != limits.parent)
        return std::nullopt; // it died before the line above
    const bool scoped = done.files && version >= 6;
    if (limits.walls)
        done.calls = filter_calls({scoped || limits.runs_programs, limits.runs_programs});
    return done;
}

} // namespace things
