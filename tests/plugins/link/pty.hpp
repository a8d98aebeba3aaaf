// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <termios.h>

// The far end of a serial line: a pty pair. The plugin under test opens path(); the test is the device.
namespace things {

class Pty {
public:
    Pty();
    ~Pty();
    Pty(const Pty&) = delete;
    Pty& operator=(const Pty&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    /// Sends all of it, waiting while the line is full.
    void send(std::string_view bytes) const;
    /// What the plugin sent until `end` was seen, or five seconds passed.
    [[nodiscard]] std::string receive_until(std::string_view end) const;
    /// Bytes the plugin has not yet read.
    [[nodiscard]] int unread() const;
    /// The settings that the plugin made.
    [[nodiscard]] termios settings() const;
    /// Plugs the cable out.
    void hang_up();

private:
    int device_ = -1, keeper_ = -1; // keeper: our end of the plugin's side, so that it stays
    std::string path_;
};

} // namespace things
