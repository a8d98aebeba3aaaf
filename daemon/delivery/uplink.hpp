// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/backoff.hpp"
#include "delivery/verdict.hpp"
#include "reading.hpp"

#include <cstdint>
#include <optional>
#include <string>

// The host's health as all devices together see it: feeds the breaker, and tells when the uplink goes down
// and comes back. Pure state; time and randomness are arguments.
namespace things {

class Uplink {
public:
    enum class Change : std::uint8_t {
        none,
        went_down,   ///< the breaker opened
        stayed_down, ///< it has been down long enough for somebody to be told; once per outage
        misdirected, ///< redirects; once
        came_up,
    };
    Uplink(Milliseconds initial, Milliseconds max) : breaker_(initial, max) {}

    /// Whether a post of this device may start now.
    [[nodiscard]] bool admit(DeviceId device, std::int64_t now_ms);
    /// Takes note of an answer. `is_only_device`: nobody else could show that the host is well.
    [[nodiscard]] Change on_answer(DeviceId device, const Verdict& verdict, bool is_only_device,
                                   std::int64_t now_ms, double random);
    [[nodiscard]] Breaker& breaker() { return breaker_; }
    [[nodiscard]] const Breaker& breaker() const { return breaker_; }
    [[nodiscard]] bool is_down() const { return is_down_; }
    [[nodiscard]] std::int64_t down_since_ms() const { return down_since_ms_; }
    [[nodiscard]] const std::string& reason() const { return reason_; }

private:
    [[nodiscard]] bool opens(DeviceId device, const Verdict& verdict, bool is_only_device);

    Breaker breaker_;
    std::optional<DeviceId> probe_; ///< whose post was admitted last while it was half open
    int failures_ = 0;              ///< in a row, of posts that count
    std::optional<DeviceId> first_failed_;
    bool have_several_failed_ = false;
    bool is_down_ = false, is_told_ = false, is_misdirected_ = false;
    std::int64_t down_since_ms_ = 0;
    std::string reason_;
};

} // namespace things
