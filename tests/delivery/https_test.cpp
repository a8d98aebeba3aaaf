// SPDX-License-Identifier: Apache-2.0
#include "delivery/https.hpp"

#include "delivery/explanation.hpp"

#include "support/tls_server.hpp"

#include <doctest/doctest.h>

#include <condition_variable>
#include <cstdlib>
#include <future>
#include <set>
#include <thread>

#include <dlfcn.h>
#include <netdb.h>

using namespace things;

namespace {

/// Look-ups of this name hang until the test lets them go.
constexpr std::string_view slow_host = "slow.test";
std::mutex look_up_mutex;
std::condition_variable look_up_changed;
bool are_look_ups_held = false;
int look_ups = 0;

} // namespace

// Stands in front of the C library's for the whole test program.
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** result) {
    if (name != nullptr && name == slow_host) {
        std::unique_lock lock(look_up_mutex);
        ++look_ups;
        look_up_changed.notify_all();
        look_up_changed.wait_for(lock, std::chrono::seconds(30), [] { return !are_look_ups_held; });
        return EAI_AGAIN;
    }
    using Function = int(const char*, const char*, const addrinfo*, addrinfo**);
    static auto* const real = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, "getaddrinfo"));
    return real(name, service, hints, result);
}

namespace {

const std::string token(64, 'a');

const TestAuthority& authority() {
    static const TestAuthority one;
    return one;
}

Certificate localhost() {
    static const Certificate one = authority().issue("localhost");
    return one;
}

HttpsSettings settings_for(const TlsServer& server) {
    for (const char* name : {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy"})
        unsetenv(name); // the machine's proxy is not part of these tests
    HttpsSettings settings;
    settings.url = server.url();
    settings.ca_file = authority().file();
    settings.connect_timeout = seconds(5);
    settings.timeout = seconds(5);
    return settings;
}

/// Collects answers from the upload thread.
class Answers {
public:
    Https::Handler handler() {
        return [this](Answer answer) {
            const std::lock_guard lock(mutex_);
            answers_.push_back(std::move(answer));
            changed_.notify_all();
        };
    }
    std::vector<Answer> wait(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::seconds(20), [&] { return answers_.size() >= count; });
        REQUIRE(answers_.size() == count);
        return answers_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Answer> answers_;
};

Answer post(Https& https, const std::string& body = "[1]") {
    Answers answers;
    https.post({body, token}, answers.handler());
    return answers.wait(1).front();
}

Answer post_to(const TlsServer& server, const std::string& body = "[1]") {
    return post(*make_https(settings_for(server)), body);
}

/// A server that answers each first request of a connection with these bytes and closes.
TlsServer::Script saying(std::string text) {
    return [text = std::move(text)](TestConnection& connection) {
        if (connection.read_request())
            connection.write(text);
    };
}

/// A server that goes on answering as long as the connection lives.
TlsServer::Script serving(std::string text) {
    return [text = std::move(text)](TestConnection& connection) {
        while (connection.read_request())
            connection.write(text);
    };
}

Next next_of(const Answer& answer) {
    return judge(answer, 0).next;
}

} // namespace

TEST_CASE("an upload thread that hangs is noticed by who watches, and so is its end") {
    TlsServer server(localhost(), saying("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"));
    const auto https = make_https(settings_for(server));
    std::promise<void> entered, release;
    https->post({"[1]", token}, [&entered, &release](const Answer&) {
        entered.set_value();
        release.get_future().wait();
    });
    entered.get_future().wait();
    CHECK(https->silence(1'000) == seconds(0)); // asked just now
    CHECK(https->silence(61'000) == seconds(60));
    release.set_value();
    const auto end = std::chrono::steady_clock::now() + seconds(20);
    while (https->silence(62'000) != seconds(0) && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
    CHECK(https->silence(62'000) == seconds(0));
}

TEST_CASE("a post looks as the platform documents it, and an empty reason phrase is understood") {
    HttpRequest seen;
    TlsServer server(localhost(), [&seen](TestConnection& connection) {
        if (auto request = connection.read_request()) {
            seen = *request;
            connection.write("HTTP/1.1 202 \r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nContent-Length: 0\r\n"
                             "Connection: keep-alive\r\n\r\n");
        }
    });
    const Answer answer = post_to(server, R"([{"n":"x","v":1}])");
    CHECK(answer.status == 202);
    CHECK(answer.error == TransportError::none);
    CHECK(answer.date == "Tue, 14 Nov 2023 22:13:20 GMT");
    CHECK(answer.body.empty());
    CHECK(seen.body == R"([{"n":"x","v":1}])");
    CHECK(seen.head.rfind("POST /ingestion/ip/senml/v1 HTTP/1.1\r\n", 0) == 0);
    CHECK(seen.has("Things-Message-Token: " + token + "\r\n"));
    CHECK(seen.has("Content-Type: application/json\r\n"));
    CHECK(seen.has("Content-Length: 17\r\n"));
    for (const char* absent : {"chunked", "Expect", "Accept-Encoding", "Cookie", "Authorization"})
        CHECK_MESSAGE(!seen.has(absent), absent);
}

TEST_CASE("body and headers of an answer come through, whatever its status") {
    for (int status : {200, 202, 299, 400, 401, 404, 413, 429, 500, 503}) {
        TlsServer server(localhost(), saying(http_answer(status, "[{}]", "retry-AFTER:  7 \r\n")));
        const Answer answer = post_to(server);
        CHECK(answer.status == status);
        CHECK(answer.error == TransportError::none);
        CHECK(answer.body == "[{}]");
        CHECK(answer.retry_after == "7");
        CHECK(answer.sent);
    }
}

TEST_CASE("one connection serves many posts, and one that was closed meanwhile costs no post") {
    std::atomic<int> served = 0;
    TlsServer server(localhost(), [&served](TestConnection& connection) {
        for (int i = 0; i < 5 && connection.read_request(); ++i) {
            ++served;
            connection.write(http_answer(202)); // says keep-alive, but closes after the fifth
        }
    });
    const auto https = make_https(settings_for(server));
    for (int i = 0; i < 23; ++i)
        CHECK(post(*https).status == 202);
    CHECK(served == 23);
    CHECK(server.accepted() == 5);
}

TEST_CASE("an interim answer is not the answer") {
    TlsServer server(localhost(), saying("HTTP/1.1 100 Continue\r\n\r\n" + http_answer(202)));
    CHECK(post_to(server).status == 202);
    TlsServer only_interim(localhost(), saying("HTTP/1.1 103 Early Hints\r\n\r\n"));
    const Answer answer = post_to(only_interim);
    CHECK(answer.status == 0);
    CHECK(next_of(answer) == Next::retry);
}

TEST_CASE("an answer before the body was read is an answer") {
    TlsServer server(localhost(), [](TestConnection& connection) {
        if (connection.read_head()) {
            connection.write(http_answer(202));
            connection.reset();
        }
    });
    const Answer answer = post_to(server, std::string(2'000'000, 'x'));
    if (answer.status == 202) // else the reset overtook it, and then it is a retry
        CHECK((next_of(answer) == Next::delivered || next_of(answer) == Next::delivered_with_error));
    else
        CHECK(next_of(answer) == Next::retry);
}

TEST_CASE("wherever an answer breaks off, it ends, and counts as delivered only with a 2xx seen") {
    const std::string whole = http_answer(202, "[{\"n\":\"valve\",\"v\":1}]", "Date: x\r\n");
    const std::size_t head = whole.find("\r\n\r\n") + 4;
    for (std::size_t k = 0; k <= whole.size(); ++k) {
        TlsServer server(localhost(), saying(whole.substr(0, k)));
        const Answer answer = post_to(server);
        const Next next = next_of(answer);
        if (k == whole.size())
            CHECK(next == Next::delivered);
        else if (k >= head)
            CHECK(next == Next::delivered_with_error);
        else if (k < std::string("HTTP/1.1 202").size())
            CHECK(next == Next::retry);
        else // an orderly end among the headers is none of libcurl's worries
            CHECK((next == Next::retry || answer.status == 202));
        CHECK((k == whole.size() || next != Next::delivered || answer.body.empty()));
        CHECK(answer.sent);
    }
}

TEST_CASE("a reset in the middle of an answer is a broken connection") {
    TlsServer server(localhost(), [](TestConnection& connection) {
        if (connection.read_request()) {
            connection.write("HTTP/1.1 20");
            connection.reset();
        }
    });
    const Answer answer = post_to(server);
    CHECK(answer.status == 0);
    CHECK(answer.error == TransportError::broken);
    CHECK(answer.sent);
}

TEST_CASE("slow answers end with the timeout, in whatever phase they stall") {
    auto drip = [](const std::string& text) {
        return [text](TestConnection& connection) {
            if (!connection.read_request())
                return;
            for (const char c : text) {
                if (!connection.write({&c, 1}))
                    return;
                connection.wait(std::chrono::milliseconds(60));
            }
            connection.wait_for_close();
        };
    };
    for (const std::string& text : {std::string(), std::string("HTTP/1.1 202 "), http_answer(503, "[]")}) {
        TlsServer server(localhost(), drip(text));
        HttpsSettings settings = settings_for(server);
        settings.timeout = Milliseconds(400);
        const Answer answer = post(*make_https(settings));
        CHECK(answer.error == TransportError::timeout);
        CHECK(next_of(answer) == Next::retry);
        CHECK(answer.duration < seconds(2));
    }
    TlsServer silent({}, [](TestConnection& connection) { connection.wait_for_close(); }, {true, 0});
    HttpsSettings settings = settings_for(silent);
    settings.connect_timeout = Milliseconds(300);
    const Answer answer = post(*make_https(settings));
    CHECK(answer.error == TransportError::tls);
    CHECK_FALSE(answer.sent);
}

TEST_CASE("what is not HTTP is a bad answer") {
    for (const char* text :
         {"220 mail.example.com ESMTP\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "<html>login</html>\r\n\r\n",
          "HTTP/9.9 202 \r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 202 \r\nContent-Length: many\r\n\r\n"}) {
        TlsServer server(localhost(), saying(text));
        const Answer answer = post_to(server);
        CHECK_MESSAGE(answer.error != TransportError::none, text);
        CHECK_MESSAGE(answer.error != TransportError::internal, text);
    }
}

TEST_CASE("an answer is bounded in body and headers") {
    SUBCASE("a declared gigabyte") {
        TlsServer server(localhost(), [](TestConnection& connection) {
            if (!connection.read_request())
                return;
            connection.write("HTTP/1.1 500 \r\nContent-Length: 1000000000\r\n\r\n");
            const std::string block(65'536, 'x');
            while (connection.write(block)) {
            }
        });
        const Answer answer = post_to(server);
        CHECK(answer.status == 500);
        CHECK(answer.error == TransportError::too_large);
        CHECK(answer.body.size() <= 65'536);
    }
    SUBCASE("many headers") {
        std::string headers;
        for (int i = 0; i < 1000; ++i)
            headers += "X-" + std::to_string(i) + ": y\r\n";
        TlsServer server(localhost(), saying(http_answer(503, "", headers)));
        CHECK(post_to(server).error == TransportError::too_large);
    }
    SUBCASE("long headers") {
        TlsServer server(localhost(),
                         saying(http_answer(503, "", "X: " + std::string(60'000, 'y') + "\r\n")));
        CHECK(post_to(server).error == TransportError::too_large);
    }
    SUBCASE("a compressed one, by what it unpacks to") {
        // gzip of 100,000 x
        constexpr unsigned char packed[] = {
            0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xc1, 0x31, 0x01, 0x00,
            0x00, 0x00, 0xc2, 0xa0, 0xda, 0x8b, 0x6f, 0x0d, 0x0f, 0xa0, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x80, 0x57, 0x03, 0x71, 0x11, 0x07, 0xfe, 0xa0, 0x86, 0x01, 0x00};
        const std::string bomb(reinterpret_cast<const char*>(packed), sizeof packed);
        TlsServer server(localhost(), saying(http_answer(503, bomb, "Content-Encoding: gzip\r\n")));
        const Answer answer = post_to(server);
        CHECK(answer.error == TransportError::too_large);
        CHECK(answer.body.size() <= 65'536);
    }
    SUBCASE("one that is not what it says") {
        TlsServer server(localhost(),
                         saying(http_answer(202, "\x1f\x8b bomb", "Content-Encoding: gzip\r\n")));
        CHECK(next_of(post_to(server)) == Next::delivered_with_error);
    }
}

TEST_CASE("a page is recognised through its compression, which was not asked for") {
    // gzip of <!DOCTYPE html><title>Portal</title>
    constexpr unsigned char packed[] = {
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xb3, 0x51, 0x74, 0xf1, 0x77, 0x0e, 0x89,
        0x0c, 0x70, 0x55, 0xc8, 0x28, 0xc9, 0xcd, 0xb1, 0xb3, 0x29, 0xc9, 0x2c, 0xc9, 0x49, 0xb5, 0x0b, 0xc8,
        0x2f, 0x2a, 0x49, 0xcc, 0xb1, 0xd1, 0x87, 0xf0, 0x00, 0xba, 0xf1, 0x0c, 0x20, 0x24, 0x00, 0x00, 0x00};
    const std::string page(reinterpret_cast<const char*>(packed), sizeof packed);
    std::string head;
    TlsServer server(localhost(), [&](TestConnection& connection) {
        head = connection.read_request().value().head;
        connection.write(http_answer(202, page, "Content-Encoding: gzip\r\n"));
    });
    const Answer answer = post_to(server);
    CHECK(head.find("Accept-Encoding") == std::string::npos);
    CHECK(answer.body == "<!DOCTYPE html><title>Portal</title>");
    CHECK(next_of(answer) == Next::misdirected);
}

TEST_CASE("the content type comes through") {
    TlsServer server(localhost(), saying(http_answer(202, "x", "CONTENT-TYPE: Text/HTML;charset=x\r\n")));
    const Answer answer = post_to(server);
    CHECK(answer.content_type == "Text/HTML;charset=x");
    CHECK(next_of(answer) == Next::misdirected);
}

TEST_CASE("the platform is asked for its time without token and reading, between posts") {
    std::vector<std::string> heads;
    TlsServer server(localhost(), [&](TestConnection& connection) {
        while (const auto request = connection.read_request()) {
            heads.push_back(request->head + request->body);
            connection.write(request->has("HEAD") ? "HTTP/1.1 404 \r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
                                                    "Content-Length: 100\r\n\r\n"
                                                  : http_answer(202));
        }
    });
    const auto https = make_https(settings_for(server));
    CHECK(post(*https).status == 202);
    Answers answers;
    Post question;
    question.asks_time = true;
    https->post(question, answers.handler());
    const Answer answer = answers.wait(1).front();
    CHECK(answer.error == TransportError::none);
    CHECK(answer.is_verified);
    CHECK(answer.date == "Tue, 14 Nov 2023 22:13:20 GMT");
    CHECK(post(*https).status == 202);
    https->stop(Milliseconds(0));
    REQUIRE(heads.size() == 3);
    CHECK(heads[1].find("HEAD / HTTP/1.1\r\n") == 0);
    CHECK(heads[1].find("Token") == std::string::npos);
    CHECK(heads[1].find("Content-") == std::string::npos);
    CHECK(heads[2].find("POST /ingestion/ip/senml/v1") == 0);
    CHECK(heads[2].find(token) != std::string::npos);
    CHECK(server.accepted() == 1);
}

TEST_CASE("a pack without a token is never sent") {
    TlsServer server(localhost(), serving(http_answer(401)));
    const auto https = make_https(settings_for(server));
    Answers answers;
    https->post({"[1]", ""}, answers.handler());
    const Answer answer = answers.wait(1).front();
    CHECK(answer.error == TransportError::not_signed);
    CHECK_FALSE(answer.sent);
    CHECK(server.accepted() == 0);
}

TEST_CASE("redirects are never followed") {
    TlsServer other(localhost(), serving(http_answer(202)));
    for (int status : {301, 302, 303, 307, 308}) {
        TlsServer server(localhost(), saying(http_answer(status, "", "Location: " + other.url() + "\r\n")));
        const Answer answer = post_to(server);
        CHECK(answer.status == status);
        CHECK(answer.location == other.url());
        CHECK(next_of(answer) == Next::misdirected);
    }
    CHECK(other.accepted() == 0);
}

TEST_CASE("nothing is sent to a server that cannot prove who it is") {
    const TestAuthority foreign;
    const Certificate bad[] = {authority().issue("elsewhere"), authority().issue("localhost", -7200, -3600),
                               authority().issue("localhost", 3600, 7200), foreign.issue("localhost")};
    for (const Certificate& certificate : bad) {
        std::atomic<int> requests = 0;
        TlsServer server(certificate, [&requests](TestConnection& connection) {
            requests += connection.read_head() ? 1 : 0;
        });
        const Answer answer = post_to(server);
        CHECK(answer.status == 0);
        CHECK(answer.error == TransportError::certificate);
        CHECK_FALSE(answer.detail.empty());
        CHECK_FALSE(answer.sent);
        CHECK(requests == 0);
    }
}

TEST_CASE("TLS 1.1 and plain text are refused") {
    TlsServer old(localhost(), serving(http_answer(202)), {false, TLS1_1_VERSION});
    CHECK(post_to(old).error == TransportError::tls);
    TlsServer plain({}, [](TestConnection& connection) { connection.write("HTTP/1.1 202 \r\n\r\n"); },
                    {true, 0});
    CHECK(post_to(plain).error == TransportError::tls);
}

TEST_CASE("a host that is not there is told apart from one without an address") {
    HttpsSettings settings;
    {
        TlsServer server(localhost(), serving(http_answer(202)));
        settings = settings_for(server);
    }
    CHECK(post(*make_https(settings)).error == TransportError::connect);
    settings.url = "https://" + std::string(70, 'x') + ".invalid/"; // too long a label to ask anybody for
    CHECK(post(*make_https(settings)).error == TransportError::resolve);
}

TEST_CASE("a name look-up that hangs holds up neither the timeout nor the end") {
    HttpsSettings settings;
    settings.url = "https://" + std::string(slow_host) + "/";
    settings.timeout = Milliseconds(300);
    {
        const std::lock_guard lock(look_up_mutex);
        are_look_ups_held = true;
        look_ups = 0;
    }
    const auto start = std::chrono::steady_clock::now();
    {
        const auto https = make_https(settings);
        const Answer answer = post(*https);
        CHECK(answer.error == TransportError::resolve);
        CHECK_FALSE(answer.sent);
        https->post({"[1]", token}, [](const Answer&) {});
        std::unique_lock lock(look_up_mutex);
        CHECK(look_up_changed.wait_for(lock, std::chrono::seconds(20), [] { return look_ups >= 2; }));
    }
    CHECK(std::chrono::steady_clock::now() - start < seconds(10));
    const std::lock_guard lock(look_up_mutex);
    are_look_ups_held = false;
    look_up_changed.notify_all();
}

TEST_CASE("a proxy that refuses is named as such") {
    std::string asked;
    TlsServer proxy({},
                    [&asked](TestConnection& connection) {
                        asked = connection.read_head().value_or("");
                        connection.write(
                            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
                    },
                    {true, 0});
    HttpsSettings settings = settings_for(proxy);
    settings.url = "https://platform.example/x";
    settings.proxy = "http://127.0.0.1:" + std::to_string(proxy.port());
    const Answer answer = post(*make_https(settings));
    CHECK(answer.error == TransportError::proxy);
    CHECK(answer.status == 0);
    CHECK_FALSE(answer.sent);
    CHECK(asked.rfind("CONNECT platform.example:443 ", 0) == 0);
    CHECK(asked.find(token) == std::string::npos);
}

TEST_CASE("what a proxy that wants a password offers is told, and the password never") {
    std::vector<std::string> heads;
    TlsServer proxy({},
                    [&heads](TestConnection& connection) {
                        while (const auto head = connection.read_head()) {
                            heads.push_back(*head);
                            connection.write("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n"
                                             "Proxy-Authenticate: Digest realm=x, nonce=y\r\n"
                                             "Content-Length: 0\r\n\r\n");
                        }
                    },
                    {true, 0});
    HttpsSettings settings = settings_for(proxy);
    settings.url = "https://platform.example/x";
    settings.proxy = "http://127.0.0.1:" + std::to_string(proxy.port());
    SUBCASE("no user") {}
    SUBCASE("a wrong one") {
        settings.proxy_user = "me";
        settings.proxy_password = Secret("hunter2#/@:%");
    }
    SUBCASE("one way only") {
        settings.proxy_user = "me";
        settings.proxy_password = Secret("hunter2");
        settings.proxy_auth = ProxyAuth::basic;
    }
    const Answer answer = post(*make_https(settings));
    CHECK(answer.error == TransportError::proxy);
    CHECK(answer.proxy_status == 407);
    CHECK(answer.proxy_offers == "basic, digest");
    const std::string words = explain(answer, {"platform.example", "d", "u", 0, true}).text();
    CHECK(words.find("it offers: basic, digest") != std::string::npos);
    CHECK(words.find("things.proxy_user") != std::string::npos);
    CHECK(words.find("hunter2") == std::string::npos);
    std::string all;
    for (const std::string& head : heads)
        all += head;
    CHECK(all.find("hunter2") == std::string::npos);
    if (settings.proxy_auth == ProxyAuth::basic)
        CHECK(all.find("Proxy-Authorization: Basic bWU6aHVudGVyMg==") != std::string::npos);
    else if (!settings.proxy_user.empty()) // the better one of those offered
        CHECK(all.find("Proxy-Authorization: Digest ") != std::string::npos);
    else
        CHECK(all.find("Proxy-Authorization") == std::string::npos);
}

TEST_CASE("a password in the environment's proxy is in no message of the library") {
    TlsServer server(localhost(), serving(http_answer(202)));
    const HttpsSettings settings = settings_for(server);
    for (const char* proxy : {"http://me:hunter2#x@127.0.0.1:1", "http://me:hunter2/x@127.0.0.1:1",
                              "http://me:hunter2@x@127.0.0.1:1", "http://me:hunter2@no.test:1",
                              "http://me:hunter2 x@127.0.0.1:1", "nonsense://me:hunter2@127.0.0.1:1"}) {
        setenv("https_proxy", proxy, 1);
        const Answer answer = post(*make_https(settings));
        unsetenv("https_proxy");
        CHECK(answer.error != TransportError::none);
        CHECK_MESSAGE(answer.detail.find("hunter2") == std::string::npos, answer.detail);
    }
}

TEST_CASE("only https URLs are taken") {
    for (const char* url : {"", "http://localhost/", "ftp://localhost/", "localhost", "https://"}) {
        HttpsSettings settings;
        settings.url = url;
        CHECK_THROWS_AS(static_cast<void>(make_https(settings)), std::invalid_argument);
    }
    CHECK(host_of("https://prod.dm.kpnthings.com/ingestion/ip/senml/v1") == "prod.dm.kpnthings.com");
    CHECK(host_of("nonsense://").empty());
}

TEST_CASE("hundreds of posts at once are each answered once, over few connections") {
    std::mutex mutex;
    std::multiset<std::string> bodies;
    TlsServer server(localhost(), [&](TestConnection& connection) {
        while (auto request = connection.read_request()) {
            {
                const std::lock_guard lock(mutex);
                bodies.insert(request->body);
            }
            connection.write(http_answer(202, request->body));
        }
    });
    const auto https = make_https(settings_for(server));
    Answers answers;
    for (int i = 0; i < 500; ++i)
        https->post({std::to_string(i), token}, answers.handler());
    std::set<std::string> echoes;
    for (const Answer& answer : answers.wait(500)) {
        CHECK(answer.status == 202);
        echoes.insert(answer.body);
    }
    CHECK(echoes.size() == 500);
    CHECK(bodies.size() == 500);
    CHECK(server.accepted() <= 8);
}

TEST_CASE("stopping cancels what is under way, and is prompt") {
    TlsServer server(localhost(), [](TestConnection& connection) { connection.wait_for_close(); });
    HttpsSettings settings = settings_for(server);
    settings.timeout = minutes(1);
    const auto https = make_https(settings);
    Answers answers;
    for (int i = 0; i < 20; ++i)
        https->post({"[1]", token}, answers.handler());
    const auto start = std::chrono::steady_clock::now();
    https->stop(Milliseconds(50));
    CHECK(std::chrono::steady_clock::now() - start < seconds(3));
    for (const Answer& answer : answers.wait(20))
        CHECK(answer.error == TransportError::cancelled);
    CHECK(post(*https).error == TransportError::cancelled);
    https->stop(Milliseconds(0));
}

TEST_CASE("new settings count for the next post") {
    TlsServer first(localhost(), serving(http_answer(202, "first")));
    TlsServer second(localhost(), serving(http_answer(202, "second")));
    const auto https = make_https(settings_for(first));
    CHECK(post(*https).body == "first");
    https->configure(settings_for(second));
    CHECK(post(*https).body == "second");
    HttpsSettings bad;
    bad.url = "http://localhost/";
    CHECK_THROWS_AS(https->configure(bad), std::invalid_argument);
    CHECK(post(*https).body == "second");
    https->configure(settings_for(first));
    CHECK(post(*https).body == "first");
}

TEST_CASE("when the network changes, connections are made anew and hanging posts end") {
    std::atomic<int> requests = 0;
    TlsServer server(localhost(), [&requests](TestConnection& connection) {
        while (connection.read_request()) {
            if (++requests == 2)
                connection.wait_for_close();
            else
                connection.write(http_answer(202));
        }
    });
    HttpsSettings settings = settings_for(server);
    settings.hanging_after = Milliseconds(0);
    const auto https = make_https(settings);
    CHECK(post(*https).status == 202);
    Answers answers;
    https->post({"[1]", token}, answers.handler());
    const auto until = std::chrono::steady_clock::now() + seconds(10);
    while (requests < 2 && std::chrono::steady_clock::now() < until)
        std::this_thread::yield();
    https->renew();
    CHECK(answers.wait(1).front().error == TransportError::cancelled);
    CHECK(post(*https).status == 202);
    CHECK(server.accepted() == 2);
}
