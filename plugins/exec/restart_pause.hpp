// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace things {

/// How long to wait before a program that ended is started again: 1 s, then twice as long each time, up to
/// 60 s; after a run of 60 s 1 s again. Pure: times are steady milliseconds.
class RestartPause {
public:
    void on_start(std::int64_t now_ms) { started_ms_ = now_ms; }
    /// Also for a start that failed, which is no run at all.
    [[nodiscard]] std::int64_t on_end(std::int64_t now_ms) {
        const bool ran_well = started_ms_ && now_ms - *started_ms_ >= good_run_ms;
        started_ms_.reset();
        pause_ms_ = ran_well || pause_ms_ == 0 ? first_ms : std::min(longest_ms, pause_ms_ * 2);
        return pause_ms_;
    }

private:
    static constexpr std::int64_t first_ms = 1000, longest_ms = 60'000, good_run_ms = 60'000;
    std::optional<std::int64_t> started_ms_; ///< of the program that runs
    std::int64_t pause_ms_ = 0;
};

} // namespace things
