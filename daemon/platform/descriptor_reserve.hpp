// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace things {

/// Descriptors that are kept for the way out: the last commit, the hot log and an upload need a few, and
/// without them a stop would lose or wait. Taken early, so that their numbers lie below whatever limit is set
/// later. One thread.
class DescriptorReserve {
public:
    DescriptorReserve() {
        for (int& fd : fds_)
            fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    ~DescriptorReserve() { release(); }
    DescriptorReserve(const DescriptorReserve&) = delete;
    DescriptorReserve& operator=(const DescriptorReserve&) = delete;

    /// Whether the process could get one more, without the reserve.
    [[nodiscard]] static bool are_any_left() {
        const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            close(fd);
        return fd >= 0 || (errno != EMFILE && errno != ENFILE);
    }

    /// Whoever asks next gets them.
    void release() {
        for (int& fd : fds_) {
            if (fd >= 0)
                close(fd);
            fd = -1;
        }
    }

private:
    std::array<int, 12> fds_{};
};

} // namespace things
