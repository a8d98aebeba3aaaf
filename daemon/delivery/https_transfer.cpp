// SPDX-License-Identifier: Apache-2.0
#include "delivery/https_transfer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>

namespace things {

namespace {

constexpr std::size_t longest_header_value = 256;
constexpr std::string_view token_header = "Things-Message-Token: ";

template <typename T>
void set(CURL* easy, CURLoption option, T value) {
    if (const CURLcode code = curl_easy_setopt(easy, option, value); code != CURLE_OK)
        throw std::runtime_error(fmt::format("libcurl does not take option {}: {}", static_cast<int>(option),
                                             curl_easy_strerror(code)));
}

template <typename T>
T info(CURL* easy, CURLINFO which) {
    T value{};
    curl_easy_getinfo(easy, which, &value);
    return value;
}

void read_header(Answer& answer, std::string_view line) {
    struct Wanted {
        std::string_view name;
        std::string Answer::*value;
    };
    static constexpr std::array wanted = {
        Wanted{"retry-after:", &Answer::retry_after}, Wanted{"date:", &Answer::date},
        Wanted{"location:", &Answer::location}, Wanted{"content-type:", &Answer::content_type}};
    for (const Wanted& header : wanted) {
        if (line.size() < header.name.size() ||
            strncasecmp(line.data(), header.name.data(), header.name.size()) != 0)
            continue;
        std::string_view value = line.substr(header.name.size(), longest_header_value);
        while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
            value.remove_prefix(1);
        while (!value.empty() && (value.back() == '\r' || value.back() == '\n' || value.back() == ' '))
            value.remove_suffix(1);
        answer.*header.value = value;
    }
}

/// Data that nobody acknowledges must not hold a post for the quarter of an hour that Linux tries.
int on_socket(void* self, curl_socket_t socket, curlsocktype /*purpose*/) {
    const auto& settings = *static_cast<const HttpsSettings*>(self);
    const auto limit = static_cast<unsigned>(settings.timeout.count() * 2 / 3);
    setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
    return CURL_SOCKOPT_OK;
}

void set_up_tls(CURL* easy, const HttpsSettings& settings, CURLSH* share) {
    set(easy, CURLOPT_PROTOCOLS_STR, "https");
    set(easy, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    set(easy, CURLOPT_SHARE, share);
    if (!settings.ca_file.empty()) {
        set(easy, CURLOPT_CAINFO, settings.ca_file.c_str());
        set(easy, CURLOPT_CAPATH, static_cast<char*>(nullptr));
    }
    if (!settings.proxy.empty())
        set(easy, CURLOPT_PROXY, settings.proxy.c_str());
    if (!settings.proxy_user.empty()) {
        set(easy, CURLOPT_PROXYUSERNAME, settings.proxy_user.c_str());
        set(easy, CURLOPT_PROXYPASSWORD, settings.proxy_password.reveal().c_str());
    }
    static constexpr unsigned long ways[] = {CURLAUTH_ANY, CURLAUTH_BASIC, CURLAUTH_DIGEST, CURLAUTH_NTLM,
                                             CURLAUTH_NEGOTIATE};
    set(easy, CURLOPT_PROXYAUTH, static_cast<long>(ways[static_cast<std::size_t>(settings.proxy_auth)]));
    set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

void set_up_times(CURL* easy, const HttpsSettings& settings) {
    set(easy, CURLOPT_NOSIGNAL, 1L);
    // Else a transfer that times out during a slow name look-up blocks all others until the look-up ends.
    set(easy, CURLOPT_QUICK_EXIT, 1L);
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect_timeout.count()));
    set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(settings.timeout.count()));
    set(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(easy, CURLOPT_LOW_SPEED_TIME, 30L);
    set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    set(easy, CURLOPT_TCP_KEEPIDLE, 30L);
    set(easy, CURLOPT_TCP_KEEPINTVL, 10L);
    set(easy, CURLOPT_SOCKOPTFUNCTION, &on_socket);
    set(easy, CURLOPT_SOCKOPTDATA, const_cast<HttpsSettings*>(&settings));
    set(easy, CURLOPT_MAXAGE_CONN, 110L);
    set(easy, CURLOPT_DNS_CACHE_TIMEOUT, 60L);
}

} // namespace

Transfer::Transfer(SharedSettings settings, CURLSH* share)
    : settings_(std::move(settings)), easy_(curl_easy_init()) {
    if (easy_ == nullptr)
        throw std::runtime_error("libcurl cannot make a handle");
    const std::string token = std::string(token_header).append(token_length, '0');
    for (const char* header : {token.c_str(), "Content-Type: application/json"})
        headers_ = curl_slist_append(headers_, header);
    // Answers are too small to ask for compression; one that comes compressed all the same is read.
    for (const char* header : {"Expect:", "Accept-Encoding:"}) {
        headers_ = curl_slist_append(headers_, header);
        bare_ = curl_slist_append(bare_, header);
    }
    set(easy_, CURLOPT_USERAGENT, settings_->user_agent.c_str());
    set(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    set(easy_, CURLOPT_PIPEWAIT, 1L);
    set(easy_, CURLOPT_ACCEPT_ENCODING, "");
    set(easy_, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    set(easy_, CURLOPT_BUFFERSIZE, 4096L); // answers are small; every connection has one
    set(easy_, CURLOPT_ERRORBUFFER, detail_.data());
    set(easy_, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    set(easy_, CURLOPT_HEADERDATA, static_cast<void*>(this));
    set(easy_, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
    set(easy_, CURLOPT_WRITEDATA, static_cast<void*>(this));
    set(easy_, CURLOPT_SSL_CTX_FUNCTION, &Transfer::on_handshake);
    set(easy_, CURLOPT_SSL_CTX_DATA, static_cast<void*>(this));
    set(easy_, CURLOPT_PRIVATE, static_cast<void*>(this));
    set_up_tls(easy_, *settings_, share);
    set_up_times(easy_, *settings_);
}

Transfer::~Transfer() {
    curl_easy_cleanup(easy_);
    curl_slist_free_all(headers_);
    curl_slist_free_all(bare_);
}

Transfer& Transfer::of(CURL* easy) {
    return *info<Transfer*>(easy, CURLINFO_PRIVATE);
}

std::size_t Transfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
    Transfer& transfer = *static_cast<Transfer*>(self);
    const std::size_t bytes = size * count;
    transfer.header_bytes_ += bytes;
    if (++transfer.header_count_ > transfer.settings_->max_headers ||
        transfer.header_bytes_ > transfer.settings_->max_header_bytes) {
        transfer.is_over_limit_ = true;
        return 0;
    }
    read_header(transfer.answer_, {data, bytes});
    return bytes;
}

std::size_t Transfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
    Transfer& transfer = *static_cast<Transfer*>(self);
    const std::size_t bytes = size * count;
    if (transfer.answer_.body.size() + bytes > transfer.settings_->max_answer) {
        transfer.is_over_limit_ = true;
        return 0;
    }
    transfer.answer_.body.append(data, bytes);
    return bytes;
}

CURLcode Transfer::on_handshake(CURL* /*easy*/, void* /*context*/, void* self) {
    static_cast<Transfer*>(self)->has_begun_handshake_ = true;
    return CURLE_OK;
}

void Transfer::begin(Post post, Https::Handler handler, bool on_fresh_connection) {
    post_ = std::move(post);
    handler_ = std::move(handler);
    start_ = std::chrono::steady_clock::now();
    answer_ = Answer();
    header_count_ = header_bytes_ = 0;
    is_over_limit_ = has_begun_handshake_ = false;
    detail_.front() = '\0';
    if (post_.asks_time) {
        curl_easy_setopt(easy_, CURLOPT_URL, root_of(settings_->url).c_str()); // copied
        curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, bare_);
        curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L); // HEAD
    } else {
        char* const token = headers_->data + token_header.size();
        std::fill_n(token, token_length, '0');
        std::copy_n(post_.token.begin(), std::min(post_.token.size(), token_length), token);
        curl_easy_setopt(easy_, CURLOPT_URL, settings_->url.c_str());
        curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
        curl_easy_setopt(easy_, CURLOPT_NOBODY, 0L);
        curl_easy_setopt(easy_, CURLOPT_POST, 1L);
        curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(post_.body.size()));
        curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, post_.body.data());
    }
    curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, on_fresh_connection ? 1L : 0L);
}

void Transfer::note_result(CURLcode code) {
    answer_.error = classify(code);
    if (code != CURLE_OK)
        answer_.detail = without_secrets(detail_.front() != '\0' ? detail_.data() : curl_easy_strerror(code));
    if (answer_.error == TransportError::proxy)
        note_proxy();
}

/// A proxy of the environment may have a password in its address, and libcurl quotes what it cannot parse.
std::string Transfer::without_secrets(std::string text) const {
    std::vector<std::string> secrets = {post_.token, settings_->proxy_password.reveal()};
    for (const char* name : {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}) {
        const char* const value = getenv(name);
        const std::string_view address = value == nullptr ? "" : value;
        const std::size_t at = address.rfind('@');
        if (at == std::string_view::npos)
            continue;
        const std::size_t scheme = address.find("://");
        const std::size_t from = scheme < at ? scheme + 3 : 0;
        secrets.emplace_back(address.substr(from, at - from));
        // The password alone, and what is left of it where it was taken for something else.
        const std::string user_info = secrets.back();
        for (std::size_t i = 0; i < user_info.size(); ++i)
            if (std::string_view(":/?#@").find(user_info[i]) != std::string_view::npos)
                secrets.push_back(user_info.substr(i + 1));
    }
    // Longest first: a part of one must not hide the rest of it.
    std::sort(secrets.begin(), secrets.end(),
              [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
    constexpr std::string_view masked = "MASKED";
    for (const std::string& secret : secrets)
        for (std::size_t at = 0; !secret.empty() && (at = text.find(secret, at)) != std::string::npos;
             at += masked.size())
            text.replace(at, secret.size(), masked);
    return text;
}

/// What the proxy answered in the place of a tunnel, and how it wants to be logged in at.
void Transfer::note_proxy() {
    answer_.proxy_status = static_cast<int>(info<long>(easy_, CURLINFO_HTTP_CONNECTCODE));
    const auto offered = static_cast<unsigned long>(info<long>(easy_, CURLINFO_PROXYAUTH_AVAIL));
    static constexpr std::pair<unsigned long, const char*> ways[] = {{CURLAUTH_BASIC, "basic"},
                                                                     {CURLAUTH_DIGEST, "digest"},
                                                                     {CURLAUTH_NTLM, "ntlm"},
                                                                     {CURLAUTH_NEGOTIATE, "negotiate"}};
    for (const auto& [bit, name] : ways)
        if ((offered & bit) != 0)
            answer_.proxy_offers += (answer_.proxy_offers.empty() ? "" : ", ") + std::string(name);
}

void Transfer::note_cancelled(const char* why) {
    answer_.error = TransportError::cancelled;
    answer_.detail = why;
}

Answer Transfer::take_answer() {
    const long status = info<long>(easy_, CURLINFO_RESPONSE_CODE);
    answer_.status = status >= 200 && status <= 999 ? static_cast<int>(status) : 0;
    const TransportError error = answer_.error;
    const bool is_before_request = error == TransportError::resolve || error == TransportError::connect ||
                                   error == TransportError::proxy || error == TransportError::certificate ||
                                   error == TransportError::tls;
    answer_.is_verified = settings_->url.rfind("https://", 0) == 0;
    answer_.sent = !is_before_request && info<long>(easy_, CURLINFO_REQUEST_SIZE) > 0;
    answer_.duration = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start_);
    return std::move(answer_);
}

bool Transfer::says(const char* word) const {
    return std::string_view(detail_.data()).find(word) != std::string_view::npos;
}

TransportError Transfer::find_timeout_phase() const {
    // libcurl 8 (Debian 13) has no words for it and does not tell when TCP was connected.
    if (has_begun_handshake_ && info<curl_off_t>(easy_, CURLINFO_APPCONNECT_TIME_T) == 0)
        return TransportError::tls;
    if (info<curl_off_t>(easy_, CURLINFO_PRETRANSFER_TIME_T) > 0 ||
        info<long>(easy_, CURLINFO_NUM_CONNECTS) == 0) {
        const bool is_unresolved = info<curl_off_t>(easy_, CURLINFO_NAMELOOKUP_TIME_T) == 0 &&
                                   info<long>(easy_, CURLINFO_REQUEST_SIZE) == 0;
        return is_unresolved ? TransportError::resolve : TransportError::timeout;
    }
    return info<curl_off_t>(easy_, CURLINFO_APPCONNECT_TIME_T) == 0 ? TransportError::connect
                                                                    : TransportError::timeout;
}

TransportError Transfer::classify(CURLcode code) const {
    switch (code) {
    case CURLE_OK:
        return TransportError::none;
    case CURLE_COULDNT_RESOLVE_HOST:
        return TransportError::resolve;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        return TransportError::proxy;
    case CURLE_COULDNT_CONNECT:
        return TransportError::connect;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return TransportError::certificate;
    case CURLE_SSL_CONNECT_ERROR:
        // OpenSSL sometimes reports a detail of a bad certificate before the verdict on it.
        return says("certificate") && !says("alert") ? TransportError::certificate : TransportError::tls;
    case CURLE_SSL_CIPHER:
    case CURLE_USE_SSL_FAILED:
        return TransportError::tls;
    case CURLE_OPERATION_TIMEDOUT:
        return find_timeout_phase();
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return info<long>(easy_, CURLINFO_HTTP_CONNECTCODE) >= 300 ? TransportError::proxy
                                                                   : TransportError::broken;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_SHUTDOWN_FAILED:
        return TransportError::broken;
    case CURLE_UNSUPPORTED_PROTOCOL: // "Received HTTP/0.9 when not allowed"
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return TransportError::bad_answer;
    case CURLE_WRITE_ERROR:
        return is_over_limit_ ? TransportError::too_large : TransportError::bad_answer;
    case CURLE_FILESIZE_EXCEEDED:
        return TransportError::too_large;
    case CURLE_ABORTED_BY_CALLBACK:
        return TransportError::cancelled;
    default:
        return TransportError::internal;
    }
}

} // namespace things
