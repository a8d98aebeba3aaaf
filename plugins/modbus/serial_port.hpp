// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/byte_link.hpp"
#include "modbus/modbus_settings.hpp"

#include <memory>

struct _modbus;

// A serial line. libmodbus opens the port and sets speed, frame and RS-485 mode; reading and writing are
// ours, because the silence between frames and the matching of answers must be (libmodbus keeps neither).
// The port is held exclusively: a second program that opened it would garble every frame.
namespace things {

class SerialPort : public DescriptorLink {
public:
    explicit SerialPort(LinkSettings settings);
    ~SerialPort() override;
    std::optional<LinkTrouble> open(SteadyTime deadline, int wake_fd) override;
    void close() override;

private:
    [[nodiscard]] LinkTrouble explain(int error) const override;
    [[nodiscard]] std::optional<LinkTrouble> claim();

    struct Closer {
        void operator()(_modbus* context) const;
    };
    LinkSettings settings_;
    std::unique_ptr<_modbus, Closer> context_;
};

} // namespace things
