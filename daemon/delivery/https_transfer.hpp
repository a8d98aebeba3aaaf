// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/https.hpp"

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <memory>

// One post at libcurl, and the handle that is kept for the next one. Everything here: upload thread only.
namespace things {

/// Shared by the upload thread and each transfer that was made with them.
using SharedSettings = std::shared_ptr<const HttpsSettings>;

/// Made once, used for one post after the other: begin(), then the thread adds handle() to its multi handle,
/// then note_result() or note_cancelled(), then take_answer(). libcurl holds pointers into it: it never
/// moves.
class Transfer {
public:
    using Moment = std::chrono::steady_clock::time_point;
    /// `share` holds the TLS sessions and outlives this. Throws std::runtime_error if libcurl lacks an
    /// option.
    Transfer(SharedSettings settings, CURLSH* share);
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;
    ~Transfer();

    /// A new post. `on_fresh_connection`: an open connection must not be used for it.
    void begin(Post post, Https::Handler handler, bool on_fresh_connection);
    /// libcurl is done with it: what went wrong, by phase, and its words.
    void note_result(CURLcode code);
    void note_cancelled(const char* why);
    /// What came of it, once the handle was taken out of the multi handle.
    [[nodiscard]] Answer take_answer();
    [[nodiscard]] Https::Handler take_handler() { return std::move(handler_); }

    [[nodiscard]] CURL* handle() const { return easy_; }
    [[nodiscard]] const SharedSettings& settings() const { return settings_; }
    [[nodiscard]] Moment start() const { return start_; }
    /// The transfer that a handle belongs to.
    [[nodiscard]] static Transfer& of(CURL* easy);

private:
    static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
    static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
    /// TCP is connected, to the host or to an https proxy, and TLS begins.
    static CURLcode on_handshake(CURL* easy, void* context, void* self);
    [[nodiscard]] bool says(const char* word) const;
    /// The library's words without what nobody may read in a log.
    [[nodiscard]] std::string without_secrets(std::string text) const;
    void note_proxy();
    [[nodiscard]] TransportError find_timeout_phase() const;
    [[nodiscard]] TransportError classify(CURLcode code) const;

    const SharedSettings settings_;
    CURL* easy_ = nullptr;
    curl_slist* headers_ = nullptr; ///< the first one holds the token
    curl_slist* bare_ = nullptr;    ///< the same without token and content type
    std::array<char, CURL_ERROR_SIZE> detail_{};
    Post post_;
    Https::Handler handler_;
    Answer answer_;
    Moment start_;
    std::size_t header_count_ = 0, header_bytes_ = 0;
    bool is_over_limit_ = false, has_begun_handshake_ = false;
};

} // namespace things
