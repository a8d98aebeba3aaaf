// SPDX-License-Identifier: Apache-2.0
#include "p1/line_search.hpp"

#include <fmt/format.h>

#include <utility>

namespace things {

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
        has_cipher_head_ = has_cipher_head_ || (last_ == '\xdb' && byte == 0x08);
        has_hdlc_head_ = has_hdlc_head_ || (last_ == '\x7e' && (byte & 0xf0U) == 0xa0);
        has_header_ = has_header_ || (last_ == '/' && byte >= 'A' && byte <= 'Z');
        last_ = c;
    }
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
    if (has_hdlc_head_)
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
