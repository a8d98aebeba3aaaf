// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/source.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

// No news is not good news: notices a source that gives no values although nothing is reported to be wrong,
// and a point that never had one while others of its source do. Keeps the last reason that the plugin gave
// for having no value. Pure: the time is an argument (CLOCK_BOOTTIME); its source's thread only.
namespace things {

class EventFilter;

class Silence {
public:
    /// The code of its problems, by which their end is known.
    static constexpr const char* code = "silent";

    /// Nothing is silent before `least` has passed; nor, once it gave values, before three intervals have.
    /// `work` outlives it.
    Silence(const SourceWork& work, bool polls, Milliseconds least);

    void on_create(std::int64_t now_ms);
    void on_poll() { is_asked_ = true; }
    /// Any value counts, also one that the report rules hold back. Ends the reasons that it disproves.
    void on_reading(std::uint32_t point, std::int64_t now_ms);
    void on_reason(Level level, std::uint32_t index, std::string text);
    /// The most specific one for this point; empty if the plugin gave none.
    [[nodiscard]] std::string reason_for(std::uint32_t point) const;

    /// Problems that are to be told now; what fails in `events` already is not silent. Cheap: looks every
    /// few seconds.
    [[nodiscard]] std::vector<SourceEvent> due(std::int64_t now_ms, const EventFilter& events);

private:
    [[nodiscard]] const std::string* reason(Level level, std::uint32_t index) const;

    const SourceWork& work_;
    const bool polls_;
    const std::int64_t least_ms_;
    std::int64_t longest_ms_ = 0; ///< of the source, once it gave a value
    std::int64_t created_ms_ = 0, given_ms_ = 0, look_at_ms_ = 0;
    bool is_asked_ = false;       ///< polled since the last value
    std::vector<char> has_given_; ///< by point
    std::map<std::pair<Level, std::uint32_t>, std::string> reasons_;
};

} // namespace things
