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

/// At most one frame is held: 16 KiB and the 17 bytes of its head and tag. Not thread-safe; does not move,
/// since plain_ calls back into it.
class CipherStream {
public:
    CipherStream(const MeterKeys& keys, TelegramRules rules, TelegramStream::Handler on_found);
    CipherStream(const CipherStream&) = delete; // what it gave to plain_ points here
    CipherStream& operator=(const CipherStream&) = delete;

    /// Calls `on_found` from within, for good telegrams, for frames whose tag is wrong (authentication) and
    /// for those whose plain text is no telegram. What lies between frames is dropped without a word.
    void feed(std::string_view bytes);
    /// Nothing came for a second: a frame that is not complete never will be.
    void flush();
    /// What was open counts as nothing; the title is kept, since it is the same meter after the port was
    /// opened again.
    void reset();
    void set_now(std::optional<std::int64_t> unix_seconds) { plain_.set_now(unix_seconds); }

private:
    struct Head;
    /// partial: more bytes are needed to tell. none: no frame begins here.
    enum class Shape : std::uint8_t { none, partial, head };
    /// At the front of buffer_; decides on tag byte, title length, BER length and, once a frame was good, the
    /// title.
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
    /// Offset of buffer_ in the stream, for what is told.
    std::uint64_t base_ = 0;
    std::string title_; // of the last good frame; inside a damaged one only this title begins another
};

} // namespace things
