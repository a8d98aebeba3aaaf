// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/serial_port.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Which speed and frame a meter uses, and what can be said about a line on which no telegram comes. Pure;
// times are milliseconds of any steady clock.
namespace things {

/// Tries 115200 8N1 (DSMR 4 and later, P1 Companion Standard 5.0.2) and 9600 7E1 (before) in turn:
///
///   trying    each setting for trial_ms
///   found     a telegram came; kept until doubt_ms passed without another
///   fixed     speed and frame are both given, or one candidate is left: never changes
class LineSearch {
public:
    static constexpr std::int64_t trial_ms = 12'500; ///< one interval of the slowest meter and one telegram
    static constexpr std::int64_t doubt_ms =
        120'000; ///< a line that worked is searched for again after so long

    /// What is given is kept, the rest is found out. `frame`: "7E1".
    /// A speed without a frame is tried with 8N1 and 7E1.
    LineSearch(std::optional<int> baud, const std::optional<std::string>& frame);

    [[nodiscard]] const LineSettings& current() const { return candidates_[index_]; }
    [[nodiscard]] bool is_found() const { return is_found_; }
    [[nodiscard]] bool is_fixed() const { return candidates_.size() == 1; }
    /// The port was opened; the trial begins.
    void begin(std::int64_t now_ms) { since_ms_ = now_ms; }
    /// An intact one; ends the search, or begins the time to doubt_ms anew.
    void on_telegram(std::int64_t now_ms);
    /// True if another setting is now to be tried: see current().
    /// The caller changes the line and forgets what was decoded so far.
    bool advance(std::int64_t now_ms);
    /// Every byte had even parity: seven bits and parity were read as eight. True as for advance().
    bool on_parity_seen(std::int64_t now_ms);

private:
    std::vector<LineSettings> candidates_;
    std::size_t index_ = 0;
    std::int64_t since_ms_ = 0;
    bool is_found_ = false;
};

/// Remembers enough of what came in to say why no telegram is found in it.
/// Counts only; holds no text. Cleared at every change of the line.
class LineObserver {
public:
    void see(std::string_view bytes);
    void clear() { *this = LineObserver(); }
    /// The head of a general-glo-ciphering frame was seen (DB 08, the maker's letters, a length): the meter
    /// needs keys.
    [[nodiscard]] bool is_encrypted() const { return has_cipher_head_; }
    /// For a technician: what is seen on the line, the likely cause, what to try.
    [[nodiscard]] std::string explain() const;

private:
    std::uint64_t bytes_ = 0, high_ = 0, printable_ = 0;
    /// A frame 7E A0 LL ... 7E whose length is right.
    void see_hdlc(unsigned char byte);

    std::string last_;             ///< bytes, enough for the head of a cipher frame
    std::size_t hdlc_at_ = 0;      ///< bytes of the frame at hand
    std::size_t hdlc_length_ = 0;  ///< what its head says
    std::uint64_t hdlc_bytes_ = 0; ///< of whole frames
    bool has_cipher_head_ = false, has_header_ = false;
};

} // namespace things
