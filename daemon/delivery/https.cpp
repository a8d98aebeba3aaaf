// SPDX-License-Identifier: Apache-2.0
#include "delivery/https.hpp"

#include "delivery/https_transfer.hpp"
#include "platform/heartbeat.hpp"
#include "platform/log.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace things {

namespace {

using Moment = Transfer::Moment;

constexpr Milliseconds longest_sleep = minutes(1);
constexpr Milliseconds renewal_time = seconds(5);

/// See https.hpp. The members below `mutex_` are shared with callers, the rest belongs to the thread.
class CurlHttps final : public Https {
public:
    explicit CurlHttps(HttpsSettings settings) : settings_(checked(std::move(settings))) {
        static std::once_flag once;
        std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
        share_ = curl_share_init();
        curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
        if (wake_ < 0)
            throw std::runtime_error("no descriptor to wake the upload thread with");
        multi_ = make_multi();
        // So that an option that libcurl lacks shows at start.
        idle_.push_back(std::make_unique<Transfer>(settings_, share_));
        thread_ = std::thread(&CurlHttps::run, this);
    }
    ~CurlHttps() override {
        stop(Milliseconds(0));
        idle_.clear();
        curl_multi_cleanup(multi_);
        curl_share_cleanup(share_);
        close(wake_);
    }

    void post(Post post, Handler handler) override {
        // Here, at the last door: a pack without a token would be refused as if the secret were wrong.
        const bool is_signed = post.token.size() == token_length || post.asks_time;
        {
            const std::lock_guard lock(mutex_);
            if (!is_stopping_ && is_signed) {
                incoming_.push_back({std::move(post), std::move(handler)});
                if (incoming_.size() == 1)
                    wake();
                return;
            }
        }
        Answer answer;
        answer.error = is_signed ? TransportError::cancelled : TransportError::not_signed;
        handler(std::move(answer));
    }

    void configure(HttpsSettings settings) override {
        SharedSettings fresh = checked(std::move(settings));
        const std::lock_guard lock(mutex_);
        new_settings_ = std::move(fresh);
        wake();
    }

    void renew() override {
        const std::lock_guard lock(mutex_);
        must_renew_ = true;
        wake();
    }

    Milliseconds silence(std::int64_t now_ms) override {
        const Milliseconds owed = heartbeat_.ask(now_ms);
        const std::lock_guard lock(mutex_);
        wake();
        return owed;
    }

    void stop(Milliseconds grace) override {
        {
            const std::lock_guard lock(mutex_);
            is_stopping_ = true;
            stop_at_ = std::chrono::steady_clock::now() + grace;
            wake();
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
        curl_waitfd wake{wake_, CURL_WAIT_POLLIN, 0};
        curl_multi_poll(multi_, &wake, 1, static_cast<int>(sleep.count()), nullptr);
        std::uint64_t count = 0;
        (void)!::read(wake_, &count, sizeof count);
        return true;
    }

    /// Not with curl_multi_wakeup(): a handle that was made while there were no descriptors cannot be woken,
    /// and says nothing of it.
    void wake() const {
        const std::uint64_t one = 1;
        (void)!::write(wake_, &one, sizeof one);
    }

    void start(Incoming next) {
        std::unique_ptr<Transfer> transfer;
        if (idle_.empty()) {
            try {
                transfer = std::make_unique<Transfer>(settings_, share_);
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
        transfer->begin(std::move(next.post), std::move(next.handler),
                        std::chrono::steady_clock::now() < renewed_until_);
        curl_multi_add_handle(multi_, transfer->handle());
        active_.push_back(std::move(transfer));
    }

    void finish_ended() {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
            if (message->msg != CURLMSG_DONE)
                continue;
            Transfer& transfer = Transfer::of(message->easy_handle);
            transfer.note_result(message->data.result);
            end(transfer);
        }
    }

    /// Whether the failure may come from an old address of the host, or from connections that a NAT forgot.
    static bool doubts_network(TransportError error) {
        return error == TransportError::connect || error == TransportError::timeout ||
               error == TransportError::tls || error == TransportError::certificate;
    }

    void end(Transfer& transfer) {
        Answer answer = transfer.take_answer();
        must_rebuild_ = must_rebuild_ || doubts_network(answer.error);
        curl_multi_remove_handle(multi_, transfer.handle());
        const Handler handler = transfer.take_handler();
        const bool is_current = transfer.settings() == settings_;
        const auto place = std::find_if(active_.begin(), active_.end(),
                                        [&transfer](const auto& other) { return other.get() == &transfer; });
        std::swap(*place, active_.back());
        if (is_current)
            idle_.push_back(std::move(active_.back()));
        active_.pop_back();
        call(handler, std::move(answer));
    }

    void cancel(Transfer& transfer, const char* why) {
        transfer.note_cancelled(why);
        end(transfer);
    }

    void cancel_hanging() {
        const Moment now = std::chrono::steady_clock::now();
        std::vector<Transfer*> hanging;
        for (const auto& transfer : active_)
            if (now - transfer->start() >= settings_->hanging_after)
                hanging.push_back(transfer.get());
        for (Transfer* transfer : hanging)
            cancel(*transfer, "the network changed");
        must_rebuild_ = true;
        renewed_until_ = now + renewal_time;
    }

    /// Drops connections and known addresses: they may belong to a network that is gone.
    void rebuild() {
        CURLM* fresh = make_multi();
        std::swap(fresh, multi_);
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
    CURLM* multi_ = nullptr;
    const int wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
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

HttpsSettings https_settings(const ThingsConfig& things) {
    HttpsSettings settings;
    settings.url = things.url;
    settings.ca_file = things.ca_file;
    settings.proxy = things.proxy;
    settings.proxy_user = things.proxy_user;
    settings.proxy_password = things.proxy_password;
    settings.proxy_auth = things.proxy_auth;
    settings.connect_timeout = things.connect_timeout;
    settings.timeout = things.timeout;
    settings.parallel = things.parallel;
    return settings;
}

std::string root_of(const std::string& url) {
    return url.substr(0, url.find('/', url.find("//") + 2)) + '/';
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
