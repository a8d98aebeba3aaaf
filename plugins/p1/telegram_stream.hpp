// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "p1/telegram.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// Finds telegrams in a stream of bytes that may be cut, glued, damaged or noise, fed in pieces of any size:
// the result does not depend on the pieces. Never holds more than 16 KiB. Pure but for the state it keeps;
// one thread.
//
//   /XXX5<identification> CR LF, CR LF, object lines, !hhhh CR LF      hhhh: CRC over '/' to '!' both
//   included
//
// With a checksum the '/' for which it fits is the start, so a '/' in a header or a text misleads nobody and
// a good telegram glued to a cut one is found. Without (DSMR 2.2, 3.0) the last header before the '!' is the
// start.
namespace things {

enum class CrcKind : std::uint8_t {
    automatic, ///< arc; x25 once three telegrams in a row fit it and none fitted arc
    arc,
    x25,
    none ///< stated or not, it is not looked at
};

enum class DamageReason : std::uint8_t {
    crc_mismatch,
    crc_missing,
    incomplete,
    too_long,
    character, ///< a byte that cannot stand in a telegram without checksum: parity error
    line_setting,
    authentication
};
[[nodiscard]] std::string_view to_text(DamageReason reason);

/// A piece of the stream that was accepted as a telegram, or rejected as a damaged one.
/// `offset` and `length` say where in the stream, encrypted bytes counted as they came.
struct FoundTelegram {
    std::uint64_t offset = 0; ///< since the stream began
    std::size_t length = 0;
    std::optional<Telegram> telegram; ///< nothing: damaged, `reason` says how
    DamageReason reason = DamageReason::incomplete;
    std::optional<std::uint16_t> stated, computed; ///< checksums
    CrcKind crc = CrcKind::none;                   ///< that vouched for it
    std::string system_title;                      ///< of an encrypted telegram: 8 bytes
    std::uint32_t frame_counter = 0;               ///< likewise
};

/// `clock` is handed to the decoder as it is.
struct TelegramRules {
    CrcKind crc = CrcKind::automatic;
    MeterClockRules clock;
};

/// Waits with a telegram until what ends it is certain: two line ends, or four hexadecimal digits behind the
/// '!'. A telegram whose meter must send a checksum (requires_crc) is never accepted without one.
class TelegramStream {
public:
    static constexpr std::size_t max_length = std::size_t{16} * 1024;
    using Handler = std::function<void(FoundTelegram)>;

    /// `on_found` is called from within feed, flush and mark_damaged, in the order of the stream.
    TelegramStream(TelegramRules rules, Handler on_found);

    void feed(std::string_view bytes);
    /// A character arrived damaged at this place.
    /// Puts a byte there that no telegram has: with a checksum the telegram around it fails, without one as
    /// well.
    void mark_damaged();
    /// Nothing came for a second: what is there is all there will be.
    /// Accepts an end whose digits or line end are missing. What has no '!' stays: it may be the beginning of
    /// one that pauses.
    void flush();
    /// The line was closed, or changed: begins anew. Counts what was open as nothing.
    void reset();
    /// Unix time of a trusted clock, for telegrams from now on.
    void set_now(std::optional<std::int64_t> unix_seconds) { rules_.clock.now = unix_seconds; }
    /// At most max_length.
    [[nodiscard]] std::size_t held() const { return buffer_.size(); }

private:
    struct End;
    void take(char byte);
    /// Tells line_setting at a '!' behind 64 or more bytes of even parity over eight bits, more than a fifth
    /// of them with the top bit set: 7E1 read as 8N1.
    void watch_parity(char byte);
    void scan(bool is_final);
    [[nodiscard]] std::optional<End> read_end(std::size_t bang, bool is_final) const;
    /// At the beginning of a line or right behind an object; elsewhere a '!' is part of a text.
    [[nodiscard]] bool can_end_at(std::size_t bang) const;
    void finish(const End& end);
    void finish_with_crc(const End& end);
    void finish_without_crc(const End& end);
    bool accept(const End& end, std::size_t start, CrcKind kind, std::uint16_t computed);
    /// The one kind that the rules name at this moment; learn() changes them.
    [[nodiscard]] std::optional<CrcKind> matching_kind(std::string_view text, std::uint16_t stated) const;
    void learn(const End& end);
    void reject(std::size_t length, DamageReason reason, std::optional<std::uint16_t> stated = {},
                std::optional<std::uint16_t> computed = {});
    /// More than max_length without an end: told as too_long up to the second header in it; noise goes
    /// without a word.
    void shed_overflow();
    void drop(std::size_t length);
    [[nodiscard]] std::size_t find_start(std::size_t from, std::size_t until) const;

    TelegramRules rules_;
    Handler on_found_;
    std::string buffer_;      // from base_ on
    std::uint64_t base_ = 0;  // offset of buffer_ in the stream
    std::size_t scanned_ = 0; // no '!' before this place ends anything
    int accepted_with_crc_ = 0;
    int fitting_x25_ = 0;
    std::size_t parity_run_ = 0, parity_high_ = 0; // bytes of even parity over 8 bits, and those with bit 7
};

} // namespace things
