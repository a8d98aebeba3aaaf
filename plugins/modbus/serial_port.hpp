// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/byte_link.hpp"
#include "modbus/modbus_settings.hpp"

#include <memory>

struct _modbus; // NOLINT(bugprone-reserved-identifier): the name that libmodbus gave it

// A serial line. libmodbus opens the port and sets speed, frame and RS-485 mode; reading and writing are
// ours, because the silence between frames and the matching of answers must be (libmodbus keeps neither).
// The port is held exclusively: a second program that opened it would garble every frame.
namespace things {

/// Two locks, since programs differ in which they respect: flock(2), and TIOCEXCL, which makes any later open
/// fail. Both go with the descriptor. Speeds without a constant of their own are set with termios2.
class SerialPort : public DescriptorLink {
public:
    explicit SerialPort(LinkSettings settings);
    ~SerialPort() override;
    /// Does not wait, whatever the deadline. Missing, taken and forbidden are told apart. Sets the timer
    /// slack of the calling thread, whose 50 us would stretch every silence between frames.
    std::optional<LinkTrouble> open(SteadyTime deadline, int wake_fd) override;
    void close() override;

private:
    [[nodiscard]] LinkTrouble explain(int error) const override;
    /// After libmodbus opened it: the locks, odd speeds, RS-485. The caller closes the port if it fails.
    [[nodiscard]] std::optional<LinkTrouble> claim();

    struct Closer {
        void operator()(_modbus* context) const;
    };
    LinkSettings settings_;
    std::unique_ptr<_modbus, Closer> context_;
};

} // namespace things
