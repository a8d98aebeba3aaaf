// SPDX-License-Identifier: Apache-2.0
#include "polling/call_filter.hpp"

#include <bit>
#include <cerrno>
#include <cstddef>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

// Landlock knows files only: connecting to a socket's path is none of its rights. Permissions do not help
// either, since the process runs as the gateway's user. So no Unix socket can be made at all.
namespace things {

namespace {

#if defined(__x86_64__)
constexpr unsigned own_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr unsigned own_architecture = AUDIT_ARCH_AARCH64;
#elif defined(__arm__)
constexpr unsigned own_architecture = AUDIT_ARCH_ARM;
#else
constexpr unsigned own_architecture = 0;
#endif

constexpr unsigned io_uring_setup = 425; // on every architecture
constexpr unsigned first_x32_call = 0x40000000;

constexpr sock_filter load(unsigned offset) {
    return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}
constexpr sock_filter answer(unsigned action) {
    return BPF_STMT(BPF_RET | BPF_K, action);
}
/// Jumps so many instructions ahead, one way or the other.
constexpr sock_filter compare(unsigned how, unsigned value, unsigned char then, unsigned char otherwise) {
    return BPF_JUMP(BPF_JMP | how | BPF_K, value, then, otherwise);
}

} // namespace

bool filter_calls() {
    static_assert(std::endian::native == std::endian::little, "the low half of an argument comes first");
    sock_filter program[] = {
        load(offsetof(seccomp_data, arch)),     compare(BPF_JEQ, own_architecture, 0, 6), // else refuse
        load(offsetof(seccomp_data, nr)),       compare(BPF_JGE, first_x32_call, 4, 0),
        compare(BPF_JEQ, io_uring_setup, 3, 0), compare(BPF_JEQ, SYS_socket, 0, 3), // else allow
        load(offsetof(seccomp_data, args)),     compare(BPF_JEQ, AF_UNIX, 0, 1),
        answer(SECCOMP_RET_ERRNO | EACCES),     answer(SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{sizeof program / sizeof *program, program};
    return own_architecture != 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

} // namespace things
