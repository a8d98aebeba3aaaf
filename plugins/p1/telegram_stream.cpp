// SPDX-License-Identifier: Apache-2.0
#include "p1/telegram_stream.hpp"

#include "link/checksum.hpp"

#include <algorithm>
#include <utility>

namespace things {

namespace {

constexpr std::size_t none = std::string_view::npos;
// Bit 7 is set, which no telegram without a checksum may have, and which spoils any checksum.
constexpr char damaged_character = '\xff';

bool is_letter(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// "/XXX" and one more character that can be printed.
bool has_header_letters(std::string_view text) {
    return text.size() >= 5 && text[0] == '/' && is_letter(text[1]) && is_letter(text[2]) &&
           is_letter(text[3]) && text[4] >= ' ' && text[4] < 0x7f;
}

/// Cuts one line end off. False if there is none.
bool take_line_end(std::string_view& text) {
    if (!text.empty() && text.front() == '\r')
        text.remove_prefix(1);
    if (text.empty() || text.front() != '\n')
        return false;
    text.remove_prefix(1);
    return true;
}

/// A line that a telegram without checksum can begin with: the header, then an empty line (or, in old meters,
/// at once an object).
bool is_header_line(std::string_view text) {
    std::size_t end = text.find_first_of("\r\n");
    if (!has_header_letters(text) || end == none)
        return false;
    text.remove_prefix(end);
    return take_line_end(text) &&
           (take_line_end(text) || (!text.empty() && text.front() >= '0' && text.front() <= '9'));
}

/// Something that only a telegram has: a header, or a line with a code and a value.
bool resembles_telegram(std::string_view text, bool has_end) {
    for (std::size_t at = text.find('/'); at != none; at = text.find('/', at + 1))
        if (has_header_letters(text.substr(at)))
            return true;
    for (std::size_t at = text.find('('); has_end && at != none; at = text.find('(', at + 1)) {
        std::size_t begin = text.find_last_of("\r\n", at);
        std::string_view code =
            text.substr(begin == none ? 0 : begin + 1, at - (begin == none ? 0 : begin + 1));
        std::size_t colon = code.find(':');
        if (code.size() >= 7 && colon != none && colon >= 1 && code.find('.') != none &&
            code.front() >= '0' && code.front() <= '9')
            return true;
    }
    return false;
}

std::uint16_t checksum(CrcKind kind, std::string_view text) {
    return kind == CrcKind::x25 ? crc16_x25(text) : crc16_arc(text);
}

} // namespace

/// Where a telegram ends: at `bang`, with everything that belongs to it before `end`.
struct TelegramStream::End {
    std::size_t bang = 0, end = 0;
    std::optional<std::uint16_t> stated;
};

std::string_view to_text(DamageReason reason) {
    switch (reason) {
    case DamageReason::crc_mismatch:
        return "crc_mismatch";
    case DamageReason::crc_missing:
        return "crc_missing";
    case DamageReason::incomplete:
        return "incomplete";
    case DamageReason::too_long:
        return "too_long";
    case DamageReason::character:
        return "character";
    case DamageReason::line_setting:
        return "line_setting";
    case DamageReason::authentication:
        break;
    }
    return "authentication";
}

TelegramStream::TelegramStream(TelegramRules rules, Handler on_found)
    : rules_(rules), on_found_(std::move(on_found)) {}

void TelegramStream::feed(std::string_view bytes) {
    for (char byte : bytes)
        take(byte);
}

void TelegramStream::mark_damaged() {
    take(damaged_character);
}

void TelegramStream::take(char byte) {
    buffer_ += byte;
    watch_parity(byte);
    // Only these can complete an end; scanning at each of them makes the result independent of the pieces.
    if (scanned_ < buffer_.size())
        scan(false);
    if (buffer_.size() >= max_length)
        shed_overflow();
}

/// 7E1 read as 8N1: bit 7 makes the parity of every byte even. A '!' is the same with and without the bit.
void TelegramStream::watch_parity(char byte) {
    auto value = static_cast<unsigned char>(byte);
    if (__builtin_parity(value) != 0) {
        parity_run_ = parity_high_ = 0;
        return;
    }
    ++parity_run_;
    parity_high_ += value >> 7U;
    constexpr std::size_t enough = 64;
    if (byte == '!' && parity_run_ >= enough && parity_high_ * 5 > parity_run_) {
        reject(buffer_.size(), DamageReason::line_setting);
        parity_run_ = parity_high_ = 0;
    }
}

void TelegramStream::flush() {
    scan(true);
    scanned_ = buffer_.size();
}

void TelegramStream::reset() {
    drop(buffer_.size());
    parity_run_ = parity_high_ = 0;
}

void TelegramStream::scan(bool is_final) {
    while (scanned_ < buffer_.size()) {
        std::size_t bang = buffer_.find('!', scanned_);
        if (bang == none) {
            scanned_ = buffer_.size();
            return;
        }
        if (!can_end_at(bang)) {
            scanned_ = bang + 1;
            continue;
        }
        scanned_ = bang;
        std::optional<End> end = read_end(bang, is_final);
        if (!end)
            return; // more bytes decide
        if (end->end == bang) {
            scanned_ = bang + 1; // no end after all
            continue;
        }
        finish(*end);
    }
}

/// At the start of a line, or right behind an object.
bool TelegramStream::can_end_at(std::size_t bang) const {
    if (bang == 0)
        return base_ == 0; // else it stands behind a telegram, not on a line of its own
    char before = buffer_[bang - 1];
    return before == '\n' || before == '\r' || before == ')';
}

/// What stands behind the '!': nothing or one to four digits, and the end of the line. No value: more bytes
/// are needed; end == bang: this is no end.
std::optional<TelegramStream::End> TelegramStream::read_end(std::size_t bang, bool is_final) const {
    End result{bang, bang, std::nullopt};
    std::size_t at = bang + 1;
    unsigned value = 0;
    while (at < buffer_.size() && at < bang + 5 && hex_digit(buffer_[at]) >= 0)
        value = value * 16 + static_cast<unsigned>(hex_digit(buffer_[at++]));
    std::size_t digits = at - bang - 1;
    if (digits > 0)
        result.stated = static_cast<std::uint16_t>(value);
    if (at == buffer_.size()) {
        if (!is_final)
            return std::nullopt;
        // The last line end may be missing; fewer digits than four may also be a cut checksum, which then
        // fails.
        result.end = at;
        return result;
    }
    if (buffer_[at] == '\r' && at + 1 == buffer_.size() && !is_final)
        return std::nullopt;
    std::size_t behind = at;
    if (buffer_[behind] == '\r')
        ++behind;
    if (behind < buffer_.size() && buffer_[behind] == '\n')
        ++behind;
    if (behind > at || digits == 4)
        result.end = behind;
    return result;
}

void TelegramStream::finish(const End& end) {
    if (end.stated && rules_.crc != CrcKind::none)
        finish_with_crc(end);
    else
        finish_without_crc(end);
}

std::optional<CrcKind> TelegramStream::matching_kind(std::string_view text, std::uint16_t stated) const {
    CrcKind kind = rules_.crc == CrcKind::x25 ? CrcKind::x25 : CrcKind::arc;
    return checksum(kind, text) == stated ? std::optional(kind) : std::nullopt;
}

std::size_t TelegramStream::find_start(std::size_t from, std::size_t until) const {
    for (std::size_t at = buffer_.find('/', from); at < until; at = buffer_.find('/', at + 1))
        if (has_header_letters(std::string_view(buffer_).substr(at, until - at)))
            return at;
    return none;
}

void TelegramStream::finish_with_crc(const End& end) {
    std::string_view text(buffer_);
    std::optional<std::uint16_t> computed;
    // The oldest header for which the sum fits: one that was cut in front must not take a whole one with it.
    for (std::size_t at = find_start(0, end.bang); at != none; at = find_start(at + 1, end.bang)) {
        std::string_view covered = text.substr(at, end.bang + 1 - at);
        if (std::optional<CrcKind> kind = matching_kind(covered, *end.stated); kind) {
            ++accepted_with_crc_;
            accept(end, at, *kind, *end.stated);
            return;
        }
        // For the message alone: the sum from the first header on.
        if (!computed)
            computed = checksum(rules_.crc, covered);
    }
    learn(end);
    reject(end.end, computed ? DamageReason::crc_mismatch : DamageReason::incomplete, end.stated, computed);
}

/// Some meters use the other polynomial. Three in a row that fit it leave one chance in 2^48 of an error.
void TelegramStream::learn(const End& end) {
    // Where arc fitted once the kind is settled; damaged telegrams do not change it any more.
    if (rules_.crc != CrcKind::automatic || accepted_with_crc_ > 0)
        return;
    std::size_t start = find_start(0, end.bang);
    bool fits = start != none &&
                crc16_x25(std::string_view(buffer_).substr(start, end.bang + 1 - start)) == *end.stated;
    fitting_x25_ = fits ? fitting_x25_ + 1 : 0;
    if (fitting_x25_ >= 3)
        rules_.crc = CrcKind::x25;
}

void TelegramStream::finish_without_crc(const End& end) {
    std::size_t start = none;
    for (std::size_t at = find_start(0, end.bang); at != none; at = find_start(at + 1, end.bang))
        if (is_header_line(std::string_view(buffer_).substr(at, end.bang - at)))
            start = at;
    if (start == none) {
        reject(end.end, DamageReason::incomplete);
        return;
    }
    if (rules_.crc != CrcKind::none && accepted_with_crc_ > 0) { // this meter has one
        reject(end.end, DamageReason::crc_missing);
        return;
    }
    std::string_view body = std::string_view(buffer_).substr(start, end.bang - start);
    // No checksum: seven bits and their parity are all the protection there is.
    bool is_damaged =
        std::any_of(body.begin(), body.end(), [](char c) { return c == '\0' || (c & '\x80') != 0; });
    if (is_damaged && rules_.crc != CrcKind::none) {
        reject(end.end, DamageReason::character);
        return;
    }
    accept(end, start, CrcKind::none, 0);
}

bool TelegramStream::accept(const End& end, std::size_t start, CrcKind kind, std::uint16_t computed) {
    std::string_view body = std::string_view(buffer_).substr(start, end.bang - start);
    Telegram telegram = decode_telegram(body, rules_.clock);
    bool is_checked = kind != CrcKind::none;
    if (!is_checked && rules_.crc != CrcKind::none && telegram.requires_crc()) {
        reject(end.end, DamageReason::crc_missing);
        return false;
    }
    if (!is_checked && !telegram.has_known_object()) {
        reject(end.end, DamageReason::incomplete);
        return false;
    }
    std::size_t length = end.end - start;
    if (start > 0)
        reject(start, DamageReason::incomplete);
    FoundTelegram found;
    found.offset = base_;
    found.length = length;
    found.crc = kind;
    found.stated = end.stated;
    if (is_checked)
        found.computed = computed;
    found.telegram = std::move(telegram);
    drop(length);
    on_found_(std::move(found));
    return true;
}

/// Drops the beginning of the buffer. It counts as a damaged telegram only if it resembles one; noise does
/// not.
void TelegramStream::reject(std::size_t length, DamageReason reason, std::optional<std::uint16_t> stated,
                            std::optional<std::uint16_t> computed) {
    std::string_view text = std::string_view(buffer_).substr(0, length);
    bool counts = reason == DamageReason::line_setting || reason == DamageReason::too_long ||
                  resembles_telegram(text, text.find('!') != none);
    FoundTelegram found;
    found.offset = base_;
    found.length = length;
    found.reason = reason;
    found.stated = stated;
    found.computed = computed;
    drop(length);
    if (counts)
        on_found_(std::move(found));
}

/// Keeps what may be the beginning of another telegram, so that a good one behind an endless one is not lost.
void TelegramStream::shed_overflow() {
    std::size_t first = find_start(0, buffer_.size());
    if (first == none) {
        drop(buffer_.size()); // noise
        return;
    }
    std::size_t next = find_start(first + 1, buffer_.size());
    if (next == none) // the header of the next one may have just begun
        next = buffer_.find('/', std::max(first + 1, buffer_.size() - 4));
    reject(next == none ? buffer_.size() : next, DamageReason::too_long);
}

void TelegramStream::drop(std::size_t length) {
    buffer_.erase(0, length);
    base_ += length;
    scanned_ -= std::min(scanned_, length);
}

} // namespace things
