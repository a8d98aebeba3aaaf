// SPDX-License-Identifier: Apache-2.0
#include "p1/line_search.hpp"

#include <fmt/format.h>

#include <utility>

namespace things {

namespace {

constexpr std::size_t cipher_head = 11; // DB 08, the system title, 82 before a length of two bytes

bool is_capital(char c) {
    return c >= 'A' && c <= 'Z';
}

/// Two bytes alone come in noise as well.
bool is_cipher_head(std::string_view bytes) {
    return bytes.size() == cipher_head && bytes[0] == '\xdb' && bytes[1] == '\x08' && is_capital(bytes[2]) &&
           is_capital(bytes[3]) && is_capital(bytes[4]) && bytes[10] == '\x82';
}

} // namespace

LineSearch::LineSearch(std::optional<int> baud, const std::optional<std::string>& frame) {
    for (int speed : {115200, 9600}) {
        if (baud && speed != 115200)
            continue; // the given one was tried
        LineSettings line;
        line.baud = baud.value_or(speed);
        // Meters after DSMR 4 send 8N1 at 115200, older ones 7E1 at 9600 and, after IEC 62056-21, below.
        bool is_old = line.baud < 57600;
        if (frame) {
            candidates_.push_back(with_frame(line, *frame).value_or(line));
            continue;
        }
        candidates_.push_back(*with_frame(line, is_old ? "7E1" : "8N1"));
        if (baud)
            candidates_.push_back(*with_frame(line, is_old ? "8N1" : "7E1"));
    }
}

void LineSearch::on_telegram(std::int64_t now_ms) {
    is_found_ = true;
    since_ms_ = now_ms;
}

bool LineSearch::advance(std::int64_t now_ms) {
    if (is_fixed() || now_ms - since_ms_ < (is_found_ ? doubt_ms : trial_ms))
        return false;
    is_found_ = false;
    since_ms_ = now_ms;
    index_ = (index_ + 1) % candidates_.size();
    return true;
}

bool LineSearch::on_parity_seen(std::int64_t now_ms) {
    for (std::size_t i = 0; i < candidates_.size() && !is_found_; ++i) {
        if (candidates_[i].baud != current().baud || candidates_[i].parity != LineParity::even || i == index_)
            continue;
        index_ = i;
        since_ms_ = now_ms;
        return true;
    }
    return false;
}

void LineObserver::see(std::string_view bytes) {
    for (char c : bytes) {
        auto byte = static_cast<unsigned char>(c);
        ++bytes_;
        high_ += byte >> 7U;
        printable_ += (byte >= 0x20 && byte < 0x7f) || byte == '\r' || byte == '\n';
        see_hdlc(byte);
        has_header_ = has_header_ || (!last_.empty() && last_.back() == '/' && is_capital(c));
        last_ += c;
        if (last_.size() > cipher_head)
            last_.erase(0, 1);
        has_cipher_head_ = has_cipher_head_ || is_cipher_head(last_);
    }
}

void LineObserver::see_hdlc(unsigned char byte) {
    if (hdlc_at_ == 1 && byte == 0x7e) // the flag that ends one frame may begin the next
        return;
    if (hdlc_at_ == 1)
        hdlc_length_ = std::size_t{byte & 7U} << 8U;
    else if (hdlc_at_ == 2)
        hdlc_length_ |= byte;
    bool is_head = hdlc_at_ == 0 ? byte == 0x7e : hdlc_at_ != 1 || (byte & 0xf0U) == 0xa0;
    hdlc_at_ = is_head ? hdlc_at_ + 1 : 0;
    if (hdlc_at_ < 3 || hdlc_at_ < hdlc_length_ + 2)
        return;
    hdlc_bytes_ += byte == 0x7e ? hdlc_at_ : 0;
    hdlc_at_ = byte == 0x7e ? 1 : 0;
}

std::string LineObserver::explain() const {
    if (bytes_ == 0)
        return "not a single byte came in. Is the cable in the P1 port (not S1), is the data request line "
               "wired, has the "
               "customer or grid operator opened the port (Belgium, Sweden)? Some meters start after a "
               "minute.";
    std::string seen = fmt::format("{} bytes came in, but no telegram; ", bytes_);
    double high = static_cast<double>(high_) / static_cast<double>(bytes_);
    double printable = static_cast<double>(printable_) / static_cast<double>(bytes_);
    if (has_cipher_head_)
        return seen +
               "they look encrypted (DB 08): set key, and aad outside Luxembourg, from the grid operator. If "
               "they are set, they are not those of this meter.";
    if (hdlc_bytes_ * 2 > bytes_)
        return seen + "they look like binary DLMS frames (7E A0), as in Norway and older Swedish meters; "
                      "that is not P1 "
                      "text.";
    if (high > 0.25)
        return seen + "bit 7 is set in many: wrong speed or frame, or a cable that does not invert the "
                      "signal (or one "
                      "that does, behind another that does).";
    if (printable > 0.95 && has_header_)
        return seen + "they look like telegrams that are cut or damaged: a long cable, a bad hub, or a "
                      "second program "
                      "on the port.";
    if (printable > 0.95)
        return seen + "they are text, but not of a meter: is this the right port?";
    return seen + "they look like noise: wrong speed, or a loose cable.";
}

} // namespace things
