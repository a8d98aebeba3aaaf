// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

// Which device is served next: those that are due later, by time, and those that are ready, in turn. Pure.
namespace things {

/// A device stands in one place at most: a time, or one of the lines. Every call costs O(log n) or less; an
/// entry that a device left behind in a line is skipped when its turn comes.
class UploadSchedule {
public:
    /// Ready devices of the first kind go before the second; the second gets at least every fourth turn.
    enum class Rank : std::uint8_t { first, second };

    /// Sets when a device is to be looked at; replaces what was set before, also a place in a line.
    /// `when_ms` is of any clock that never steps, the same one as in pop_due().
    void set_due(DeviceId device, std::int64_t when_ms);
    /// Puts a device at the end of a line, or leaves it where it stands in that line.
    void set_ready(DeviceId device, Rank rank);
    void forget(DeviceId device);

    /// Takes out the next device that is due at `now_ms`.
    /// Once taken out a device comes again only if it is set again; so with pop_ready().
    [[nodiscard]] std::optional<DeviceId> pop_due(std::int64_t now_ms);
    [[nodiscard]] std::optional<std::int64_t> next_due_ms() const;
    /// Takes out the next ready device.
    [[nodiscard]] std::optional<DeviceId> pop_ready();
    [[nodiscard]] bool has_ready() const { return ready_ > 0; }
    /// Entries held, for a test of its bounds.
    [[nodiscard]] std::size_t size() const { return due_.size() + first_.size() + second_.size(); }

private:
    struct Place {
        bool is_ready = false;
        Rank rank = Rank::first;
        std::int64_t when_ms = 0;
        std::uint64_t ticket = 0; ///< tells a live entry of a line from one that was left behind
    };
    using Line = std::deque<std::pair<DeviceId, std::uint64_t>>;
    [[nodiscard]] bool is_left_behind(const Line::value_type& entry) const;
    std::optional<DeviceId> pop(Line& line);

    std::unordered_map<DeviceId, Place> places_;
    std::set<std::pair<std::int64_t, DeviceId>> due_;
    Line first_, second_;
    std::size_t ready_ = 0;
    std::uint64_t tickets_ = 0;
    int first_in_a_row_ = 0;
};

} // namespace things
