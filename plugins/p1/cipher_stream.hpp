// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "p1/cipher.hpp"
#include "p1/telegram_stream.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Finds encrypted telegrams (Luxembourg, Austria) in a stream of bytes, fed in pieces of any size:
//
//   DB | 08 | system title, 8 bytes | length, BER | 30 | frame counter, 4 bytes | ciphertext | tag, 12 bytes
//
// Any byte can occur inside, so frames go by their length; after a frame whose tag does not verify the search
// goes on behind its first byte. The plain text is an ordinary telegram. One thread.
namespace things {

class CipherStream {
public:
    CipherStream(MeterKeys keys, TelegramRules rules, TelegramStream::Handler on_found);
    CipherStream(const CipherStream&) = delete; // what it gave to plain_ points here
    CipherStream& operator=(const CipherStream&) = delete;

    void feed(std::string_view bytes);
    /// Nothing came for a second: a frame that is not complete never will be.
    void flush();
    void reset();
    void set_now(std::optional<std::int64_t> unix_seconds) { plain_.set_now(unix_seconds); }

private:
    struct Head;
    enum class Shape : std::uint8_t { none, partial, head };
    Shape read_head(Head& head) const;
    void scan();
    void finish(const Head& head);
    void reject(DamageReason reason);
    void drop(std::size_t length);

    MeterKeys keys_;
    TelegramStream::Handler on_found_;
    TelegramStream plain_;
    std::optional<FoundTelegram> decoded_; // what plain_ found in the frame at hand
    std::string buffer_;
    std::uint64_t base_ = 0;
    std::string title_; // of the last good frame; inside a damaged one only this title begins another
};

} // namespace things
