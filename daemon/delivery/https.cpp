// SPDX-License-Identifier: Apache-2.0
#include "delivery/https.hpp"

#include "platform/heartbeat.hpp"
#include "platform/log.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <strings.h>

namespace things {

namespace {

using Moment = std::chrono::steady_clock::time_point;

constexpr std::size_t longest_header_value = 256;
constexpr Milliseconds longest_sleep = minutes(1);
constexpr Milliseconds renewal_time = seconds(5);

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

/// Shared by the thread and each transfer that was made with them.
using SharedSettings = std::shared_ptr<const HttpsSettings>;

/// One post under way, and the easy handle that is kept for the next one.
struct Transfer {
    explicit Transfer(SharedSettings all) : settings(std::move(all)) {}
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;
    ~Transfer() {
        curl_easy_cleanup(easy);
        curl_slist_free_all(headers);
    }
    const SharedSettings settings;
    CURL* easy = nullptr;
    curl_slist* headers = nullptr; ///< the first one holds the token
    std::array<char, CURL_ERROR_SIZE> detail{};
    Post post;
    Https::Handler handler;
    Answer answer;
    Moment start;
    std::size_t header_count = 0, header_bytes = 0;
    bool is_over_limit = false;
};

void read_header(Answer& answer, std::string_view line) {
    struct Wanted {
        std::string_view name;
        std::string Answer::*value;
    };
    static constexpr std::array wanted = {Wanted{"retry-after:", &Answer::retry_after},
                                          Wanted{"date:", &Answer::date},
                                          Wanted{"location:", &Answer::location}};
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

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) {
    Transfer& transfer = *static_cast<Transfer*>(self);
    const std::size_t bytes = size * count;
    transfer.header_bytes += bytes;
    if (++transfer.header_count > transfer.settings->max_headers ||
        transfer.header_bytes > transfer.settings->max_header_bytes) {
        transfer.is_over_limit = true;
        return 0;
    }
    read_header(transfer.answer, {data, bytes});
    return bytes;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) {
    Transfer& transfer = *static_cast<Transfer*>(self);
    const std::size_t bytes = size * count;
    if (transfer.answer.body.size() + bytes > transfer.settings->max_answer) {
        transfer.is_over_limit = true;
        return 0;
    }
    transfer.answer.body.append(data, bytes);
    return bytes;
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

std::unique_ptr<Transfer> make_transfer(const SharedSettings& shared, CURLSH* share) {
    const HttpsSettings& settings = *shared;
    auto transfer = std::make_unique<Transfer>(shared);
    transfer->easy = curl_easy_init();
    if (transfer->easy == nullptr)
        throw std::runtime_error("libcurl cannot make a handle");
    CURL* easy = transfer->easy;
    const std::string token = "Things-Message-Token: " + std::string(64, '0');
    for (const char* header : {token.c_str(), "Content-Type: application/json", "Expect:"})
        transfer->headers = curl_slist_append(transfer->headers, header);
    set(easy, CURLOPT_URL, settings.url.c_str());
    set(easy, CURLOPT_USERAGENT, settings.user_agent.c_str());
    set(easy, CURLOPT_POST, 1L);
    set(easy, CURLOPT_HTTPHEADER, transfer->headers);
    set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    set(easy, CURLOPT_PIPEWAIT, 1L);
    set(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    set(easy, CURLOPT_BUFFERSIZE, 4096L); // answers are small; every connection has one
    set(easy, CURLOPT_ERRORBUFFER, transfer->detail.data());
    set(easy, CURLOPT_HEADERFUNCTION, &on_header);
    set(easy, CURLOPT_HEADERDATA, static_cast<void*>(transfer.get()));
    set(easy, CURLOPT_WRITEFUNCTION, &on_body);
    set(easy, CURLOPT_WRITEDATA, static_cast<void*>(transfer.get()));
    set(easy, CURLOPT_PRIVATE, static_cast<void*>(transfer.get()));
    set_up_tls(easy, settings, share);
    set_up_times(easy, settings);
    return transfer;
}

bool says(const Transfer& transfer, const char* word) {
    return std::string_view(transfer.detail.data()).find(word) != std::string_view::npos;
}

TransportError find_timeout_phase(const Transfer& transfer) {
    CURL* easy = transfer.easy;
    if (says(transfer, "SSL"))
        return TransportError::tls;
    if (info<curl_off_t>(easy, CURLINFO_PRETRANSFER_TIME_T) > 0 ||
        info<long>(easy, CURLINFO_NUM_CONNECTS) == 0) {
        const bool is_unresolved = info<curl_off_t>(easy, CURLINFO_NAMELOOKUP_TIME_T) == 0 &&
                                   info<long>(easy, CURLINFO_REQUEST_SIZE) == 0;
        return is_unresolved ? TransportError::resolve : TransportError::timeout;
    }
    if (info<curl_off_t>(easy, CURLINFO_CONNECT_TIME_T) == 0)
        return TransportError::connect;
    return info<curl_off_t>(easy, CURLINFO_APPCONNECT_TIME_T) == 0 ? TransportError::tls
                                                                   : TransportError::timeout;
}

TransportError classify(const Transfer& transfer, CURLcode code) {
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
        return says(transfer, "certificate") && !says(transfer, "alert") ? TransportError::certificate
                                                                         : TransportError::tls;
    case CURLE_SSL_CIPHER:
    case CURLE_USE_SSL_FAILED:
        return TransportError::tls;
    case CURLE_OPERATION_TIMEDOUT:
        return find_timeout_phase(transfer);
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return info<long>(transfer.easy, CURLINFO_HTTP_CONNECTCODE) >= 300 ? TransportError::proxy
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
        return transfer.is_over_limit ? TransportError::too_large : TransportError::bad_answer;
    case CURLE_FILESIZE_EXCEEDED:
        return TransportError::too_large;
    case CURLE_ABORTED_BY_CALLBACK:
        return TransportError::cancelled;
    default:
        return TransportError::internal;
    }
}

/// See https.hpp. The members below `mutex_` are shared with callers, the rest belongs to the thread.
class CurlHttps : public Https {
public:
    explicit CurlHttps(HttpsSettings settings) : settings_(checked(std::move(settings))) {
        static std::once_flag once;
        std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
        share_ = curl_share_init();
        curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
        multi_ = make_multi();
        idle_.push_back(
            make_transfer(settings_, share_)); // so that an option that libcurl lacks shows at start
        thread_ = std::thread(&CurlHttps::run, this);
    }
    ~CurlHttps() override {
        stop(Milliseconds(0));
        idle_.clear();
        curl_multi_cleanup(multi_);
        curl_share_cleanup(share_);
    }

    void post(Post post, Handler handler) override {
        {
            const std::lock_guard lock(mutex_);
            if (!is_stopping_) {
                incoming_.push_back({std::move(post), std::move(handler)});
                if (incoming_.size() == 1)
                    curl_multi_wakeup(multi_);
                return;
            }
        }
        Answer answer;
        answer.error = TransportError::cancelled;
        handler(std::move(answer));
    }

    void configure(HttpsSettings settings) override {
        SharedSettings fresh = checked(std::move(settings));
        const std::lock_guard lock(mutex_);
        new_settings_ = std::move(fresh);
        curl_multi_wakeup(multi_);
    }

    void renew() override {
        const std::lock_guard lock(mutex_);
        must_renew_ = true;
        curl_multi_wakeup(multi_);
    }

    Milliseconds silence(std::int64_t now_ms) override {
        const Milliseconds owed = heartbeat_.ask(now_ms);
        const std::lock_guard lock(mutex_);
        curl_multi_wakeup(multi_);
        return owed;
    }

    void stop(Milliseconds grace) override {
        {
            const std::lock_guard lock(mutex_);
            is_stopping_ = true;
            stop_at_ = std::chrono::steady_clock::now() + grace;
            curl_multi_wakeup(multi_);
        }
        if (thread_.joinable())
            thread_.join();
    }

private:
    struct Incoming {
        Post post;
        Handler handler;
    };

    static SharedSettings checked(HttpsSettings settings) {
        if (settings.url.rfind("https://", 0) != 0 || host_of(settings.url).empty())
            throw std::invalid_argument("things.url must be an https URL with a host");
        return std::make_shared<const HttpsSettings>(std::move(settings));
    }

    CURLM* make_multi() const {
        CURLM* multi = curl_multi_init();
        if (multi == nullptr)
            throw std::runtime_error("libcurl cannot make a multi handle");
        const long most = std::max(1, settings_->parallel);
        curl_multi_setopt(multi, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
        curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, most);
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, most);
        return multi;
    }

    void run() {
        sigset_t all;
        sigfillset(&all); // signals are the loop's business
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        pthread_setname_np(pthread_self(), "upload");
        while (turn()) {
        }
    }

    /// One round: what callers asked for, what the network did, then sleep. False when all is over.
    bool turn() {
        std::vector<Incoming> incoming;
        bool must_renew = false, is_stopping = false;
        Moment stop_at;
        heartbeat_.beat();
        {
            const std::lock_guard lock(mutex_);
            incoming.swap(incoming_);
            std::swap(must_renew, must_renew_);
            if (new_settings_) {
                settings_ = std::move(new_settings_);
                must_rebuild_ = true;
                idle_.clear();
            }
            is_stopping = is_stopping_;
            stop_at = stop_at_;
        }
        if (must_renew)
            cancel_hanging();
        for (Incoming& next : incoming)
            start(std::move(next));
        int running = 0;
        curl_multi_perform(multi_, &running);
        finish_ended();
        const Moment now = std::chrono::steady_clock::now();
        Milliseconds sleep = longest_sleep;
        if (is_stopping) {
            if (active_.empty() || now >= stop_at) {
                while (!active_.empty())
                    cancel(*active_.back(), "the gateway stops");
                return false;
            }
            sleep = std::chrono::ceil<Milliseconds>(stop_at - now);
        }
        if (must_rebuild_ && active_.empty())
            rebuild();
        curl_multi_poll(multi_, nullptr, 0, static_cast<int>(sleep.count()), nullptr);
        return true;
    }

    void start(Incoming next) {
        std::unique_ptr<Transfer> transfer;
        if (idle_.empty()) {
            try {
                transfer = make_transfer(settings_, share_);
            } catch (const std::exception& error) {
                Answer answer;
                answer.error = TransportError::internal;
                answer.detail = error.what();
                call(next.handler, std::move(answer));
                return;
            }
        } else {
            transfer = std::move(idle_.back());
            idle_.pop_back();
        }
        transfer->post = std::move(next.post);
        transfer->handler = std::move(next.handler);
        transfer->start = std::chrono::steady_clock::now();
        prepare(*transfer);
        curl_multi_add_handle(multi_, transfer->easy);
        active_.push_back(std::move(transfer));
    }

    void prepare(Transfer& transfer) const {
        transfer.answer = Answer();
        transfer.header_count = transfer.header_bytes = 0;
        transfer.is_over_limit = false;
        transfer.detail.front() = '\0';
        const std::string& token = transfer.post.token;
        char* const text = transfer.headers->data;
        char* const value = text + std::char_traits<char>::length("Things-Message-Token: ");
        std::fill_n(value, 64, '0');
        std::copy_n(token.begin(), std::min<std::size_t>(token.size(), 64), value);
        curl_easy_setopt(transfer.easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         static_cast<curl_off_t>(transfer.post.body.size()));
        curl_easy_setopt(transfer.easy, CURLOPT_POSTFIELDS, transfer.post.body.data());
        curl_easy_setopt(transfer.easy, CURLOPT_FRESH_CONNECT, transfer.start < renewed_until_ ? 1L : 0L);
    }

    void finish_ended() {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
            if (message->msg != CURLMSG_DONE)
                continue;
            Transfer* transfer = nullptr;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
            const CURLcode code = message->data.result;
            transfer->answer.error = classify(*transfer, code);
            if (code != CURLE_OK) {
                const char* words = transfer->detail.data();
                transfer->answer.detail = *words != '\0' ? words : curl_easy_strerror(code);
            }
            end(*transfer);
        }
    }

    /// Whether the failure may come from an old address of the host, or from connections that a NAT forgot.
    static bool doubts_network(TransportError error) {
        return error == TransportError::connect || error == TransportError::timeout ||
               error == TransportError::tls || error == TransportError::certificate;
    }

    void end(Transfer& transfer) {
        Answer answer = std::move(transfer.answer);
        const long status = info<long>(transfer.easy, CURLINFO_RESPONSE_CODE);
        answer.status = status >= 200 && status <= 999 ? static_cast<int>(status) : 0;
        const bool is_before_request =
            answer.error == TransportError::resolve || answer.error == TransportError::connect ||
            answer.error == TransportError::proxy || answer.error == TransportError::certificate ||
            answer.error == TransportError::tls;
        answer.sent = !is_before_request && info<long>(transfer.easy, CURLINFO_REQUEST_SIZE) > 0;
        must_rebuild_ = must_rebuild_ || doubts_network(answer.error);
        answer.duration =
            std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - transfer.start);
        curl_multi_remove_handle(multi_, transfer.easy);
        const Handler handler = std::move(transfer.handler);
        const bool is_current = transfer.settings == settings_;
        const auto place = std::find_if(active_.begin(), active_.end(),
                                        [&transfer](const auto& other) { return other.get() == &transfer; });
        std::swap(*place, active_.back());
        if (is_current)
            idle_.push_back(std::move(active_.back()));
        active_.pop_back();
        call(handler, std::move(answer));
    }

    void cancel(Transfer& transfer, const char* why) {
        transfer.answer.error = TransportError::cancelled;
        transfer.answer.detail = why;
        end(transfer);
    }

    void cancel_hanging() {
        const Moment now = std::chrono::steady_clock::now();
        std::vector<Transfer*> hanging;
        for (const auto& transfer : active_)
            if (now - transfer->start >= settings_->hanging_after)
                hanging.push_back(transfer.get());
        for (Transfer* transfer : hanging)
            cancel(*transfer, "the network changed");
        must_rebuild_ = true;
        renewed_until_ = now + renewal_time;
    }

    /// Drops connections and known addresses: they may belong to a network that is gone.
    void rebuild() {
        CURLM* fresh = make_multi();
        {
            const std::lock_guard lock(mutex_); // callers wake the handle up
            std::swap(fresh, multi_);
            if (!incoming_.empty() || is_stopping_ || must_renew_)
                curl_multi_wakeup(multi_);
        }
        curl_multi_cleanup(fresh);
        must_rebuild_ = false;
        renewed_until_ = Moment();
    }

    static void call(const Handler& handler, Answer answer) {
        try {
            handler(std::move(answer));
        } catch (const std::exception& error) {
            log::error("upload: handling an answer failed: {}", error.what());
        }
    }

    SharedSettings settings_;
    CURLSH* share_ = nullptr;
    CURLM* multi_ = nullptr; ///< changed by the thread under mutex_
    std::vector<std::unique_ptr<Transfer>> active_, idle_;
    bool must_rebuild_ = false;
    Moment renewed_until_;
    std::mutex mutex_;
    std::vector<Incoming> incoming_;
    SharedSettings new_settings_;
    bool must_renew_ = false, is_stopping_ = false;
    Moment stop_at_;
    Heartbeat heartbeat_;
    std::thread thread_;
};

} // namespace

std::unique_ptr<Https> make_https(HttpsSettings settings) {
    return std::make_unique<CurlHttps>(std::move(settings));
}

std::string host_of(const std::string& url) {
    std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
    if (parsed == nullptr || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
        return {};
    char* host = nullptr;
    if (curl_url_get(parsed.get(), CURLUPART_HOST, &host, 0) != CURLUE_OK)
        return {};
    const std::unique_ptr<char, decltype(&curl_free)> owned(host, &curl_free);
    return host;
}

} // namespace things
