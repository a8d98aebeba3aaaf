// SPDX-License-Identifier: Apache-2.0
#include "support/tls_server.hpp"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>

#include <arpa/inet.h>
#include <csignal>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace things {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

void add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
    if (extension == nullptr)
        throw std::runtime_error("bad certificate extension");
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

Certificate make_certificate(const std::string& name, const Certificate* issuer, long from, long until) {
    const std::shared_ptr<EVP_PKEY> key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
    const std::shared_ptr<X509> leaf(X509_new(), &X509_free);
    static std::atomic<long> serial = 1;
    X509_set_version(leaf.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(leaf.get()), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(leaf.get()), from);
    X509_gmtime_adj(X509_getm_notAfter(leaf.get()), until);
    X509_set_pubkey(leaf.get(), key.get());
    X509_NAME* subject = X509_get_subject_name(leaf.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509* by = issuer != nullptr ? issuer->leaf.get() : leaf.get();
    X509_set_issuer_name(leaf.get(), X509_get_subject_name(by));
    if (issuer == nullptr) {
        add_extension(leaf.get(), by, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(leaf.get(), by, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
        add_extension(leaf.get(), by, NID_subject_alt_name, "DNS:" + name);
    }
    add_extension(leaf.get(), by, NID_subject_key_identifier, "hash");
    X509_sign(leaf.get(), issuer != nullptr ? issuer->key.get() : key.get(), EVP_sha256());
    return {leaf, key};
}

} // namespace

TestAuthority::TestAuthority()
    : own_(make_certificate("test authority " + std::to_string(std::random_device()()), nullptr, -36'000,
                            360'000)) {
    std::signal(SIGPIPE, SIG_IGN);
    std::string name = (std::filesystem::temp_directory_path() / "authority-XXXXXX").string();
    const int descriptor = mkstemp(name.data());
    if (descriptor < 0)
        throw std::runtime_error("no temporary file");
    file_ = name;
    FILE* file = fdopen(descriptor, "w");
    PEM_write_X509(file, own_.leaf.get());
    std::fclose(file);
}

TestAuthority::~TestAuthority() {
    std::error_code ignored;
    std::filesystem::remove(file_, ignored);
}

Certificate TestAuthority::issue(const std::string& host, long from, long until) const {
    return make_certificate(host, &own_, from, until);
}

bool TestConnection::fill() {
    char data[4096];
    const auto count = ssl_ != nullptr ? SSL_read(ssl_, data, sizeof data)
                                       : static_cast<int>(recv(socket_, data, sizeof data, 0));
    if (count <= 0)
        return false;
    buffer_.append(data, static_cast<std::size_t>(count));
    return true;
}

std::optional<std::string> TestConnection::read_head() {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
        if (!fill())
            return std::nullopt;
    std::string head = buffer_.substr(0, end + 4);
    buffer_.erase(0, end + 4);
    return head;
}

std::optional<HttpRequest> TestConnection::read_request() {
    auto head = read_head();
    if (!head)
        return std::nullopt;
    HttpRequest request{std::move(*head), {}};
    std::size_t at = request.head.find("Content-Length: ");
    if (at == std::string::npos) // other clients than libcurl
        at = request.head.find("content-length: ");
    const std::size_t length = at == std::string::npos ? 0 : std::stoul(request.head.substr(at + 16));
    while (buffer_.size() < length)
        if (!fill())
            return std::nullopt;
    request.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return request;
}

bool TestConnection::write(std::string_view text) {
    while (!text.empty()) {
        const auto size = static_cast<int>(std::min<std::size_t>(text.size(), 16384));
        const auto count =
            ssl_ != nullptr
                ? SSL_write(ssl_, text.data(), size)
                : static_cast<int>(send(socket_, text.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL));
        if (count <= 0)
            return false;
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

void TestConnection::reset() {
    const linger hard{1, 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    if (ssl_ != nullptr)
        SSL_set_quiet_shutdown(ssl_, 1);
}

void TestConnection::wait_for_close() {
    const auto until = steady_clock::now() + std::chrono::seconds(20);
    while (!is_stopping_ && steady_clock::now() < until && fill())
        buffer_.clear();
}

void TestConnection::wait(milliseconds time) const {
    const auto until = steady_clock::now() + time;
    while (!is_stopping_ && steady_clock::now() < until)
        poll(nullptr, 0, 1); // only paces what the server says; no test waits for it
}

TlsServer::TlsServer(Certificate certificate, Script script, Options options)
    : certificate_(std::move(certificate)), script_(std::move(script)), options_(options) {
    context_ = std::shared_ptr<SSL_CTX>(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
    if (options_.max_version != 0) {
        SSL_CTX_set_security_level(context_.get(), 0);
        SSL_CTX_set_max_proto_version(context_.get(), options_.max_version);
    }
    if (certificate_.leaf) {
        SSL_CTX_use_certificate(context_.get(), certificate_.leaf.get());
        SSL_CTX_use_PrivateKey(context_.get(), certificate_.key.get());
    }
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 64) != 0)
        throw std::runtime_error("cannot listen on the loopback");
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread(&TlsServer::accept_all, this);
}

TlsServer::~TlsServer() {
    is_stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    close(listener_);
    {
        const std::lock_guard lock(mutex_);
        for (const int socket : sockets_)
            shutdown(socket, SHUT_RDWR);
    }
    for (std::thread& thread : threads_)
        thread.join();
}

void TlsServer::accept_all() {
    while (!is_stopping_) {
        const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (socket < 0)
            continue;
        ++accepted_;
        const std::lock_guard lock(mutex_);
        sockets_.push_back(socket);
        threads_.emplace_back(&TlsServer::serve, this, socket);
    }
}

void TlsServer::serve(int socket) {
    const timeval patience{options_.patience.count(), 0};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    SSL* ssl = options_.is_plain ? nullptr : SSL_new(context_.get());
    if (ssl != nullptr)
        SSL_set_fd(ssl, socket);
    const int on = 1; // an answer leaves when it is written, not when the one before was acknowledged
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (ssl == nullptr || SSL_accept(ssl) == 1) {
        ++handshakes_;
        TestConnection connection(socket, ssl, is_stopping_);
        script_(connection);
        if (ssl != nullptr)
            SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    ERR_clear_error();
    const std::lock_guard lock(mutex_);
    std::erase(sockets_, socket);
    close(socket);
}

std::string http_answer(int status, std::string_view body, std::string_view headers) {
    return "HTTP/1.1 " + std::to_string(status) + " \r\n" + std::string(headers) +
           "Content-Length: " + std::to_string(body.size()) + "\r\nConnection: keep-alive\r\n\r\n" +
           std::string(body);
}

} // namespace things
