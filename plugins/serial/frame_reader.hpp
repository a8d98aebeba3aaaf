// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/checksum.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

// Cuts a stream of bytes into frames and lets only those through whose checksum fits. Fed in pieces of any
// size; never holds more than max_length. Pure but for its state; one thread.
//
//   line       text up to CR or LF; empty lines are none
//   delimiter  up to given bytes, and as many behind them as `trailing` says (a checksum)
//   fixed      a number of bytes
//   length     a number that stands in the frame itself, and what is added to it
//   silence    until nothing came for a time; on_silence() says so
namespace things {

/// line, delimiter: a frame that is cut or glued costs the next one at most, found again by its end. fixed,
/// length: after a damaged one every byte is tried as a beginning. silence: how the pieces were cut does not
/// matter, when they came does.
enum class FrameKind : std::uint8_t { line, delimiter, fixed, length, silence };

enum class ChecksumKind : std::uint8_t {
    none,
    nmea,          ///< XOR between $ or ! and *, two hex digits behind it
    nmea_optional, ///< the same, where there is one
    xor8,
    sum8,
    sum8_zero, ///< all bytes together are 0 modulo 256 (VE.Direct)
    sum16,
    crc16_modbus,
    crc16_arc,
    crc16_x25,
    crc_ccitt,
    crc_xmodem,
    crc_kermit,
    sdi12 ///< CRC-16/ARC as three printable characters (SDI-12, Vaisala WXT)
};

/// With `is_hex` two digits stand for each byte. `from` and `gap` do not concern nmea.
struct ChecksumRules {
    ChecksumKind kind = ChecksumKind::none;
    bool is_hex = false;       ///< as hexadecimal digits, not as bytes
    bool is_low_first = false; ///< of two bytes
    std::size_t from = 0;      ///< first byte that it covers; it covers all from there up to itself
    std::size_t gap = 0;       ///< bytes between the last one covered and the checksum
    std::size_t tail = 0;      ///< bytes between the checksum and the end of the frame
    bool is_negated = false;   ///< two's complement: what makes the sum zero
};

/// `start`: what every frame begins with, "" if nothing; what stands before it is thrown away. `max_length`:
/// 8 bytes at least; a longer frame is damage, and its rest is skipped.
struct FrameRules {
    FrameKind kind = FrameKind::line;
    std::string start, delimiter;
    std::size_t trailing = 0;  ///< bytes behind the delimiter
    std::size_t length = 0;    ///< of a fixed frame
    std::size_t length_at = 0; ///< where the length stands
    std::size_t length_size = 1;
    bool is_length_low_first = false;
    std::size_t length_add = 0; ///< bytes of the frame that the length does not count
    std::size_t max_length = 1024;
    ChecksumRules checksum;
};

/// A frame. `text` is what expressions look at: without line end, delimiter, trailing bytes and checksum
/// behind them.
struct SerialFrame {
    std::string bytes;
    std::size_t text_length = 0;
    [[nodiscard]] std::string_view text() const { return std::string_view(bytes).substr(0, text_length); }
};

/// How many bytes the checksum takes in a frame.
[[nodiscard]] std::size_t checksum_size(const ChecksumRules& rules);
/// Whether the checksum of the frame fits.
/// True without looking where there is no checksum. False as well where the frame is too short to hold one.
[[nodiscard]] bool is_intact(std::string_view bytes, std::size_t text_length, std::size_t trailing,
                             const ChecksumRules& rules);
/// What does not fit in a frame that is not intact: "the checksum over bytes 2 to 7 is 05, but should be 04".
[[nodiscard]] std::string checksum_mistake(std::string_view bytes, std::size_t text_length,
                                           std::size_t trailing, const ChecksumRules& rules);
/// The checksum of `covered` as it stands in a frame, for what we send.
[[nodiscard]] std::string make_checksum(std::string_view covered, const ChecksumRules& rules);

/// What was thrown away, and which part of it did not fit. Bytes are valid during the call; of a kind only
/// the values in `why` differ.
struct FrameDamage {
    enum class Kind : std::uint8_t { checksum, character, too_long, cut, length };
    Kind kind = Kind::checksum;
    std::string_view bytes;
    std::string why;
};

/// Both callbacks are called from within feed(), on_silence() and mark_damaged(); they must not call back
/// into the reader.
class FrameReader {
public:
    using OnFrame = std::function<void(const SerialFrame&)>;
    using OnDamage = std::function<void(const FrameDamage&)>;

    /// `on_damage` is told of each damaged frame once, also where each of its bytes is then tried as the
    /// beginning of another.
    FrameReader(FrameRules rules, OnFrame on_frame, OnDamage on_damage);

    /// Several frames may come out of one piece. The one handed out is valid during the call.
    void feed(std::string_view bytes);
    /// Nothing came for the source's `silence`: ends a frame of kind silence, drops an unfinished one of
    /// counted bytes; of the other kinds only the memory of damage goes.
    void on_silence();
    /// A character with a parity error: the frame it stands in is damage, even if its checksum fits.
    void mark_damaged();
    /// Drops what was begun, without a word.
    void reset();
    [[nodiscard]] std::size_t held() const { return buffer_.size(); }
    [[nodiscard]] const FrameRules& rules() const { return rules_; }

private:
    void take(char byte);
    void take_text(char byte);
    /// Of fixed and length: takes as many frames as there are whole.
    void scan_counted();
    /// After it the buffer is empty or begins with as much of `start` as it holds.
    void align();
    [[nodiscard]] std::optional<std::size_t> counted_length() const;
    void finish_text(std::size_t text_length, std::size_t trailing);
    /// False: the checksum does not fit, nothing was handed out.
    bool deliver(std::string_view bytes, std::size_t text_length, std::size_t trailing);
    void damage(FrameDamage::Kind kind, std::string_view bytes, std::string why);
    void tell_counted(std::size_t length);
    /// Drops the first byte.
    void drop_first();
    void overflow();

    FrameRules rules_;
    OnFrame on_frame_;
    OnDamage on_damage_;
    std::string buffer_;
    bool is_damaged_ = false;  // a character of the frame at hand
    bool is_skipping_ = false; // it was too long: its rest is thrown away
    std::size_t told_ = 0;     // so many bytes at the front of the buffer belong to damage that was told
};

} // namespace things
