// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

#include <cstdint>
#include <string>

// Whether one device is parked: the platform refuses it for who it is (401, 404), or for everything it says.
// It keeps its readings and sends only probes, the first within a minute, later ones up to an hour apart.
// Part of a DeviceUpload; pure state. Times are CLOCK_BOOTTIME.
namespace things {

class Parking {
public:
    /// Parks, or puts off the next probe of a parked device. `random` in [0, 1) spreads the probes.
    void park(const std::string& why, bool by_content, std::int64_t now_ms, double random);
    /// The wait for probes begins at the shortest again when the device is parked next.
    void end();
    /// The next probe is due at once.
    void try_now(std::int64_t now_ms);

    [[nodiscard]] bool is_parked() const { return is_parked_; }
    [[nodiscard]] bool is_by_content() const { return is_by_content_; }
    [[nodiscard]] std::int64_t probe_ms() const { return probe_ms_; }
    [[nodiscard]] const std::string& reason() const { return reason_; }

private:
    bool is_parked_ = false, is_by_content_ = false;
    std::string reason_;
    std::int64_t probe_ms_ = 0;
    Milliseconds probe_wait_{0};
};

} // namespace things
