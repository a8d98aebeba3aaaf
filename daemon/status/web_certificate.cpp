// SPDX-License-Identifier: Apache-2.0
#include "status/web_certificate.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <utility>

namespace things {

namespace ssl = boost::asio::ssl;

bool WebCertificate::Stamp::operator==(const Stamp& other) const {
    return device == other.device && inode == other.inode && mode == other.mode && size == other.size &&
           changed.tv_sec == other.changed.tv_sec && changed.tv_nsec == other.changed.tv_nsec;
}

WebCertificate::Stamp WebCertificate::stamp_of(const std::filesystem::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0)
        return {};
    return {status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_ctim};
}

WebCertificate::WebCertificate(std::filesystem::path cert_file, std::filesystem::path key_file)
    : cert_file_(std::move(cert_file)), key_file_(std::move(key_file)) {}

WebCertificate::Context WebCertificate::context() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_look_)
        return context_;
    next_look_ = now + std::chrono::seconds(1);
    const Stamp cert = stamp_of(cert_file_), key = stamp_of(key_file_);
    if (context_ != nullptr && problem_.empty() && cert == cert_stamp_ && key == key_stamp_)
        return context_;
    // Two files are never replaced at one moment: a pair that does not match is tried again, whatever its
    // stamps.
    cert_stamp_ = cert;
    key_stamp_ = key;
    auto fresh = std::make_shared<ssl::context>(ssl::context::tls_server);
    problem_ = load(*fresh);
    if (problem_.empty())
        context_ = std::move(fresh);
    return context_;
}

std::string WebCertificate::load(ssl::context& context) const {
    SSL_CTX* const native = context.native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    boost::system::error_code error;
    // Without this one OpenSSL would ask for the passphrase of the key on the terminal, and wait.
    context.set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); },
                                  error);
    const auto failed = [&error](const std::filesystem::path& file) {
        ERR_clear_error();
        return fmt::format("{}: {}", file.string(), error.message());
    };
    if ((key_stamp_.mode & (S_IRWXG | S_IRWXO)) != 0)
        return fmt::format("{0} can be read by others; run: chmod 600 {0}", key_file_.string());
    if (context.use_certificate_chain_file(cert_file_.string(), error))
        return failed(cert_file_);
    if (context.use_private_key_file(key_file_.string(), ssl::context::pem, error))
        return failed(key_file_);
    return {};
}

} // namespace things
