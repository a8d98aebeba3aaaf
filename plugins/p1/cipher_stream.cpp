// SPDX-License-Identifier: Apache-2.0
#include "p1/cipher_stream.hpp"

#include <algorithm>
#include <utility>

namespace things {

namespace {

constexpr char tag_byte = '\xdb';
constexpr std::size_t title_size = 8;
constexpr std::size_t overhead = 17; // security byte, frame counter and tag

unsigned at(const std::string& text, std::size_t index) {
    return static_cast<unsigned char>(text[index]);
}

} // namespace

struct CipherStream::Head {
    std::size_t size = 0;   // up to and without the security byte
    std::size_t length = 0; // of what follows
};

CipherStream::CipherStream(const MeterKeys& keys, TelegramRules rules, TelegramStream::Handler on_found)
    : keys_(keys), on_found_(std::move(on_found)),
      plain_(rules, [this](FoundTelegram found) { decoded_ = std::move(found); }) {}

void CipherStream::feed(std::string_view bytes) {
    for (char byte : bytes) { // one by one: how the pieces were cut must not matter
        buffer_ += byte;
        scan();
    }
}

void CipherStream::flush() {
    while (!buffer_.empty()) {
        Head head;
        // A head whose rest never came is damage; behind its first byte another frame may begin.
        if (read_head(head) == Shape::head)
            reject(DamageReason::incomplete);
        else
            drop(1);
        scan();
    }
}

void CipherStream::reset() {
    drop(buffer_.size());
    plain_.reset();
}

/// The beginning of the buffer: no frame, too little to tell, or a frame of so many bytes.
CipherStream::Shape CipherStream::read_head(Head& head) const {
    if (buffer_.empty() || buffer_[0] != tag_byte)
        return Shape::none;
    if (buffer_.size() >= 2 && buffer_[1] != title_size)
        return Shape::none;
    std::string_view title =
        std::string_view(buffer_).substr(std::min<std::size_t>(buffer_.size(), 2), title_size);
    if (!title_.empty() && title != std::string_view(title_).substr(0, title.size()))
        return Shape::none;
    std::size_t place = 2 + title_size;
    if (buffer_.size() <= place)
        return Shape::partial;
    unsigned first = at(buffer_, place);
    std::size_t more = first < 0x80 ? 0 : first - 0x80;
    // BER: 81 and 82 say that one or two bytes of length follow, 80 is the indefinite form.
    if (more > 2 || first == 0x80)
        return Shape::none;
    if (buffer_.size() <= place + more + 1)
        return Shape::partial;
    head.length = more == 0 ? first : 0;
    for (std::size_t i = 1; i <= more; ++i)
        head.length = head.length * 256 + at(buffer_, place + i);
    head.size = place + more + 1;
    bool is_plausible = head.length > overhead && head.length <= TelegramStream::max_length + overhead;
    return is_plausible && at(buffer_, head.size) == 0x30 ? Shape::head : Shape::none;
}

void CipherStream::scan() {
    for (;;) {
        std::size_t start = buffer_.find(tag_byte);
        drop(start == std::string::npos ? buffer_.size() : start);
        Head head;
        Shape shape = read_head(head);
        if (buffer_.empty() || shape == Shape::partial)
            return;
        if (shape == Shape::none) {
            drop(1);
            continue;
        }
        if (buffer_.size() < head.size + head.length)
            return;
        finish(head);
    }
}

void CipherStream::finish(const Head& head) {
    constexpr std::size_t tag_size = 12;
    std::string_view frame = std::string_view(buffer_).substr(head.size, head.length);
    std::string title = buffer_.substr(2, title_size);
    std::string iv = title + std::string(frame.substr(1, 4));
    std::size_t cipher_size = frame.size() - overhead;
    std::optional<std::string> plain =
        keys_.decrypt(iv, frame.substr(5, cipher_size), frame.substr(5 + cipher_size, tag_size));
    if (!plain) {
        reject(DamageReason::authentication);
        return;
    }
    title_ = title;
    decoded_.reset();
    // A frame is one telegram: nothing is carried over from the one before.
    plain_.reset();
    plain_.feed(*plain);
    plain_.flush();
    FoundTelegram found;
    if (decoded_)
        found = std::move(*decoded_);
    found.offset = base_;
    found.length = head.size + head.length;
    found.system_title = title;
    for (std::size_t i = 1; i <= 4; ++i)
        found.frame_counter = found.frame_counter * 256 + static_cast<unsigned char>(frame[i]);
    drop(found.length);
    on_found_(std::move(found));
}

/// The frame at the front is damaged. Its length may be, too: the search goes on behind its first byte.
void CipherStream::reject(DamageReason reason) {
    FoundTelegram found;
    found.offset = base_;
    found.length = buffer_.size();
    found.reason = reason;
    drop(1);
    on_found_(std::move(found));
}

void CipherStream::drop(std::size_t length) {
    buffer_.erase(0, length);
    base_ += length;
}

} // namespace things
