// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

// A TLS server on the loopback that does what a test tells it, byte by byte, and a certificate authority of
// its own, made anew for each test program.
namespace things {

struct Certificate {
    std::shared_ptr<X509> leaf;
    std::shared_ptr<EVP_PKEY> key;
};

/// Issues certificates, and writes its own where libcurl can read it.
class TestAuthority {
public:
    TestAuthority();
    ~TestAuthority();
    TestAuthority(const TestAuthority&) = delete;
    TestAuthority& operator=(const TestAuthority&) = delete;
    /// A certificate for `host`, valid from and until so many seconds from now.
    [[nodiscard]] Certificate issue(const std::string& host, long from = -3600, long until = 3600) const;
    [[nodiscard]] std::string file() const { return file_.string(); }

private:
    Certificate own_;
    std::filesystem::path file_;
};

struct HttpRequest {
    std::string head; ///< request line and headers, with CRLFs
    std::string body;
    [[nodiscard]] bool has(std::string_view text) const { return head.find(text) != std::string::npos; }
};

/// One accepted connection, handshake done. Every call gives up after some seconds.
class TestConnection {
public:
    TestConnection(int socket, SSL* ssl, std::atomic<bool>& is_stopping)
        : socket_(socket), ssl_(ssl), is_stopping_(is_stopping) {}
    /// The next request with its whole body; none if the peer is gone.
    [[nodiscard]] std::optional<HttpRequest> read_request();
    /// Only the head of the next request.
    [[nodiscard]] std::optional<std::string> read_head();
    bool write(std::string_view text);
    /// Ends with a TCP reset instead of an orderly close.
    void reset();
    /// Waits until the peer has closed the connection or the server stops.
    void wait_for_close();
    /// Waits, but not longer than until the server stops.
    void wait(std::chrono::milliseconds time) const;

private:
    int socket_;
    SSL* ssl_; ///< null: plain
    std::atomic<bool>& is_stopping_;
    std::string buffer_;
    bool fill();
};

class TlsServer {
public:
    using Script = std::function<void(TestConnection&)>;
    struct Options {
        bool is_plain = false;
        int max_version = 0;               ///< of TLS; 0: any
        std::chrono::seconds patience{20}; ///< with a silent peer
    };
    /// Serves each connection with the script, on a thread of its own.
    TlsServer(Certificate certificate, Script script, Options options);
    TlsServer(Certificate certificate, Script script)
        : TlsServer(std::move(certificate), std::move(script), Options()) {}
    ~TlsServer();
    TlsServer(const TlsServer&) = delete;
    TlsServer& operator=(const TlsServer&) = delete;
    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] std::string url() const {
        return "https://localhost:" + std::to_string(port_) + "/ingestion/ip/senml/v1";
    }
    [[nodiscard]] int accepted() const { return accepted_; }
    [[nodiscard]] int handshakes() const { return handshakes_; }

private:
    void accept_all();
    void serve(int socket);

    Certificate certificate_;
    Script script_;
    Options options_;
    int listener_ = -1;
    int port_ = 0;
    std::shared_ptr<SSL_CTX> context_;
    std::atomic<bool> is_stopping_ = false;
    std::atomic<int> accepted_ = 0, handshakes_ = 0;
    std::mutex mutex_;
    std::vector<int> sockets_;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

/// "HTTP/1.1 STATUS \r\n" with a body and, if given, more headers (each with its CRLF).
[[nodiscard]] std::string http_answer(int status, std::string_view body = {}, std::string_view headers = {});

} // namespace things
