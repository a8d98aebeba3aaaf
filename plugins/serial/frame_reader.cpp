// SPDX-License-Identifier: Apache-2.0
#include "serial/frame_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace things {

namespace {
constexpr const char* bad_character = "a character in it has a parity or framing error";
} // namespace

FrameReader::FrameReader(FrameRules rules, OnFrame on_frame, OnDamage on_damage)
    : rules_(std::move(rules)), on_frame_(std::move(on_frame)), on_damage_(std::move(on_damage)) {}

void FrameReader::feed(std::string_view bytes) {
    for (char byte : bytes)
        take(byte);
}

void FrameReader::reset() {
    buffer_.clear();
    is_damaged_ = is_skipping_ = false;
    told_ = 0;
}

void FrameReader::mark_damaged() {
    if (rules_.kind == FrameKind::fixed || rules_.kind == FrameKind::length) {
        damage(FrameDamage::Kind::character, buffer_, bad_character);
        buffer_.clear();
        told_ = 0;
        return;
    }
    is_damaged_ = true; // until the end of the frame it stands in
}

void FrameReader::take(char byte) {
    buffer_ += byte;
    align();
    switch (rules_.kind) {
    case FrameKind::line:
    case FrameKind::delimiter:
        take_text(byte);
        break;
    case FrameKind::fixed:
    case FrameKind::length:
        scan_counted();
        break;
    case FrameKind::silence:
        break;
    }
    if (buffer_.size() >= rules_.max_length)
        overflow();
}

/// Throws away what stands before the start bytes.
void FrameReader::align() {
    if (is_skipping_)
        return;
    while (!buffer_.empty() && buffer_.compare(0, rules_.start.size(), rules_.start, 0,
                                               std::min(buffer_.size(), rules_.start.size())) != 0)
        drop_first();
}

void FrameReader::drop_first() {
    buffer_.erase(0, 1);
    told_ -= std::min<std::size_t>(told_, 1);
}

void FrameReader::take_text(char byte) {
    if (rules_.kind == FrameKind::line) {
        if (byte != '\r' && byte != '\n')
            return;
        if (buffer_.size() > 1)
            finish_text(buffer_.size() - 1, 0);
        buffer_.clear();
        is_damaged_ = is_skipping_ = false;
        return;
    }
    std::size_t end = rules_.delimiter.size() + rules_.trailing;
    if (buffer_.size() < end)
        return;
    std::size_t text_length = buffer_.size() - end;
    if (buffer_.compare(text_length, rules_.delimiter.size(), rules_.delimiter) != 0)
        return;
    finish_text(text_length, rules_.trailing);
    buffer_.clear();
    is_damaged_ = is_skipping_ = false;
}

/// A frame that ends by its content. What was lost before may have glued another beginning in front of it:
/// each start in it is tried, the oldest first where a checksum decides, else the last.
void FrameReader::finish_text(std::size_t text_length, std::size_t trailing) {
    if (std::exchange(is_skipping_, false))
        return; // the rest of one that was too long
    if (std::exchange(is_damaged_, false)) {
        damage(FrameDamage::Kind::character, buffer_, bad_character);
        return;
    }
    std::string_view all = buffer_;
    std::size_t last = 0;
    bool is_checked = rules_.checksum.kind != ChecksumKind::none;
    if (!rules_.start.empty())
        for (std::size_t at = 0; at != std::string_view::npos && at < text_length;
             at = all.find(rules_.start, at + 1)) {
            last = at;
            if (is_checked && is_intact(all.substr(at), text_length - at, trailing, rules_.checksum))
                break;
        }
    if (!deliver(all.substr(last), text_length - last, trailing))
        damage(FrameDamage::Kind::checksum, buffer_,
               checksum_mistake(all.substr(last), text_length - last, trailing, rules_.checksum));
}

bool FrameReader::deliver(std::string_view bytes, std::size_t text_length, std::size_t trailing) {
    if (!is_intact(bytes, text_length, trailing, rules_.checksum))
        return false;
    on_frame_({std::string(bytes), text_length});
    return true;
}

/// How long the frame at the front is; nothing: more bytes are needed; 0: it is none.
std::optional<std::size_t> FrameReader::counted_length() const {
    if (rules_.kind == FrameKind::fixed)
        return rules_.length;
    if (buffer_.size() < rules_.length_at + rules_.length_size)
        return std::nullopt;
    std::size_t value = 0;
    for (std::size_t i = 0; i < rules_.length_size; ++i) {
        std::size_t at = rules_.is_length_low_first ? rules_.length_size - 1 - i : i;
        value = value * 256 + static_cast<unsigned char>(buffer_[rules_.length_at + at]);
    }
    std::size_t total = value + rules_.length_add;
    bool is_possible = total >= rules_.length_at + rules_.length_size && total <= rules_.max_length;
    return is_possible ? total : 0;
}

/// Frames that end by their length: after a damaged one the next byte may begin a good one.
void FrameReader::scan_counted() {
    for (;;) {
        if (buffer_.empty() || buffer_.size() < rules_.start.size())
            return;
        std::optional<std::size_t> length = counted_length();
        if (!length || (*length != 0 && buffer_.size() < *length))
            return;
        if (*length != 0 && deliver(std::string_view(buffer_).substr(0, *length), *length, 0)) {
            buffer_.erase(0, *length);
            told_ = 0;
        } else {
            tell_counted(*length);
            drop_first();
        }
        align();
    }
}

/// A frame of counted bytes that is none. Not told of what stands within one that was told.
void FrameReader::tell_counted(std::size_t length) {
    if (told_ > 0)
        return;
    std::size_t head = rules_.length_at + rules_.length_size; // a length that cannot be
    std::string_view bytes = std::string_view(buffer_).substr(0, length != 0 ? length : head);
    if (length != 0)
        damage(FrameDamage::Kind::checksum, bytes, checksum_mistake(bytes, length, 0, rules_.checksum));
    else
        damage(FrameDamage::Kind::length, bytes, "the length in it cannot be that of a frame");
    told_ = bytes.size();
}

void FrameReader::on_silence() {
    if (rules_.kind == FrameKind::silence && !buffer_.empty()) {
        finish_text(buffer_.size(), 0);
        buffer_.clear();
    } else if (rules_.kind == FrameKind::fixed || rules_.kind == FrameKind::length) {
        // The rest of it will never come.
        if (buffer_.size() > told_ && buffer_.size() >= rules_.start.size()) {
            std::optional<std::size_t> length = counted_length();
            damage(FrameDamage::Kind::cut, buffer_,
                   length ? fmt::format("{} of its {} bytes came, then nothing for the time of `silence`",
                                        buffer_.size(), *length)
                          : fmt::format("{} bytes of it came, then nothing for the time of `silence`",
                                        buffer_.size()));
        }
        buffer_.clear();
    }
    told_ = 0;
    is_damaged_ = is_skipping_ = false;
}

void FrameReader::damage(FrameDamage::Kind kind, std::string_view bytes, std::string why) {
    on_damage_({kind, bytes, std::move(why)});
}

void FrameReader::overflow() {
    if (!is_skipping_)
        damage(FrameDamage::Kind::too_long, buffer_,
               fmt::format("{} bytes and no end; a frame has at most {} (`max_length`)", buffer_.size(),
                           rules_.max_length));
    told_ = 0;
    buffer_.clear();
    is_skipping_ = true; // up to the end of this frame
    is_damaged_ = false;
}

} // namespace things
