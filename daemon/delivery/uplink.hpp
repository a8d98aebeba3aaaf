// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/backoff.hpp"
#include "delivery/verdict.hpp"
#include "model/reading.hpp"

#include <cstdint>
#include <optional>
#include <string>

// The host's health as all devices together see it: feeds the breaker, and tells when the uplink goes down
// and comes back. Pure state; time and randomness are arguments.
namespace things {

///
/// It opens the breaker at once for what concerns the host (no address, no connection, TLS, 429, 503, a
/// redirect), and for other failures after three in a row of more than one device, or of the only one there
/// is.
class Uplink {
public:
    enum class Change : std::uint8_t {
        none,
        went_down,   ///< the breaker opened
        stayed_down, ///< it has been down long enough for somebody to be told; once per outage
        misdirected, ///< a redirect, or an answer of something in between; once per outage
        changed,     ///< still down, but for another cause than before
        came_up,
    };
    Uplink(Milliseconds initial, Milliseconds max) : breaker_(initial, max) {}

    /// Whether a post of this device may start now.
    /// When half open, true makes this device's post the probe.
    [[nodiscard]] bool admit(DeviceId device, std::int64_t now_ms);
    /// Takes note of an answer. `is_only_device`: nobody else could show that the host is well.
    /// `random` in [0, 1) spreads the wait. A failure of a post from before the probe changes nothing.
    [[nodiscard]] Change on_answer(DeviceId device, const Verdict& verdict, bool is_only_device,
                                   std::int64_t now_ms, double random);
    /// An admitted post came to nothing before it left; if it was the probe, another one may go.
    void on_unsent(DeviceId device, std::int64_t now_ms);
    [[nodiscard]] Breaker& breaker() { return breaker_; }
    /// For times and state only; what changes it goes through admit() and on_answer(), apart from link
    /// changes.
    [[nodiscard]] const Breaker& breaker() const { return breaker_; }
    /// True from the failure that opened the breaker to the next answer, also while a probe is on its way.
    /// The two below are of meaning only then.
    [[nodiscard]] bool is_down() const { return is_down_; }
    [[nodiscard]] std::int64_t down_since_ms() const { return down_since_ms_; }
    [[nodiscard]] const std::string& reason() const { return reason_; }
    /// Failures that opened the breaker or kept it open, since the start.
    [[nodiscard]] std::uint64_t failures() const { return all_failures_; }

private:
    [[nodiscard]] bool opens(DeviceId device, const Verdict& verdict, bool is_only_device);

    Breaker breaker_;
    std::optional<DeviceId> probe_; ///< whose post was admitted last while it was half open
    int failures_ = 0;              ///< in a row, of posts that count
    std::optional<DeviceId> first_failed_;
    bool have_several_failed_ = false;
    bool is_down_ = false, is_told_ = false, is_misdirected_ = false;
    std::int64_t down_since_ms_ = 0;
    std::string reason_, cause_;
    std::uint64_t all_failures_ = 0;
};

} // namespace things
