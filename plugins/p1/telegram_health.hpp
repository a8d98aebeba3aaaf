// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "p1/telegram_stream.hpp"

#include "link/source_problems.hpp"

#include <cstdint>
#include <string>

// Tells the host how the stream of telegrams does: the beginning, the change and the end of damage and of
// silence, with counts, never a line for each telegram. Used on the source's thread.
namespace things {

/// Three conditions, each told when it begins and when it ends, independent of each other. Times are steady
/// milliseconds.
///
///   damaging   from a damaged telegram until calm_ms without another
///   silent     from on_silence() until a good telegram
///   lost       from on_link_lost() until on_open()
class TelegramHealth {
public:
    static constexpr std::int64_t calm_ms = 600'000; ///< so long without damage: it is over

    /// `problems` must outlive it.
    TelegramHealth(SourceProblems& problems, std::string where)
        : problems_(problems), where_(std::move(where)) {}

    /// The link was opened; what comes first may be the rest of a telegram.
    /// The first damage after it is not told, unless it is the line's setting.
    void on_open(std::int64_t now_ms);
    void on_good(std::int64_t now_ms);
    /// Told at the first, then when the reason changes.
    void on_damaged(const FoundTelegram& found, std::int64_t now_ms);
    /// `explanation` is asked for only if it is needed.
    void on_silence(const std::string& explanation);
    void on_link_lost(const std::string& why);
    /// Why there is no link once more, for who asks meanwhile.
    void tell_link();
    /// Sees to what time alone changes.
    void look(std::int64_t now_ms);

    [[nodiscard]] std::uint64_t good() const { return good_; }
    [[nodiscard]] std::uint64_t damaged() const { return damaged_; }
    [[nodiscard]] std::int64_t last_good_ms() const { return last_good_ms_; }
    [[nodiscard]] bool is_silent() const { return is_silent_; }

private:
    SourceProblems& problems_;
    std::string where_, lost_why_;
    std::uint64_t good_ = 0, damaged_ = 0, damaged_before_ = 0, good_before_ = 0;
    std::int64_t last_good_ms_ = 0, last_damaged_ms_ = 0;
    DamageReason reason_ = DamageReason::incomplete;
    bool is_damaging_ = false, is_silent_ = false, is_lost_ = false, is_first_ = true;
};

} // namespace things
