// SPDX-License-Identifier: Apache-2.0
#include "support/tls_server.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <unordered_map>

// bench-platform SECRET CERTIFICATE KEY LOG [plain]: a stand-in for KPN Things that is not what limits a
// measurement (the simulator is for everything else). HTTPS with keep-alive, or plain HTTP behind a proxy or
// for gateways that cannot sign; checks each token, counts the records of each SenML pack and looks at their
// times; answers 202 with an empty body. Prints its port. "token" as SECRET's place is not checked when it is
// "-".
//
// LOG gets a line each 200 ms, until the input ends:
//   wall ms, posts, records, bytes of bodies, wrong tokens, devices,
//   age in ms of the newest record of the device whose newest is oldest, median of these ages, connections
namespace {

using namespace things;

std::int64_t wall_ms() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string token_of(std::string_view body, std::string_view secret) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
    EVP_DigestUpdate(context.get(), body.data(), body.size());
    EVP_DigestUpdate(context.get(), secret.data(), secret.size());
    EVP_DigestFinal_ex(context.get(), digest.data(), &size);
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
        text += "0123456789abcdef"[digest[i] / 16];
        text += "0123456789abcdef"[digest[i] % 16];
    }
    return text;
}

struct Pack {
    std::string device;
    std::uint64_t records = 0;
    double newest = 0; ///< Unix seconds
};

/// Anything that is not SenML counts as one record without a time: what other gateways post.
Pack look_at(std::string_view body) {
    thread_local simdjson::ondemand::parser parser;
    Pack pack;
    double base = 0;
    try {
        const simdjson::padded_string text(body);
        auto document = parser.iterate(text);
        for (auto record : document.get_array()) {
            double offset = 0;
            for (auto field : record.get_object()) {
                const std::string_view key = field.unescaped_key();
                if (key == "bn")
                    pack.device = std::string_view(field.value());
                else if (key == "bt")
                    base = field.value();
                else if (key == "t")
                    offset = field.value();
            }
            ++pack.records;
            pack.newest = std::max(pack.newest, base + offset);
        }
    } catch (const simdjson::simdjson_error&) {
        pack.records = std::max<std::uint64_t>(pack.records, 1);
    }
    return pack;
}

class Books {
public:
    void add(const Pack& pack, std::size_t bytes, bool is_signed) {
        const std::lock_guard guard(lock_);
        ++posts_;
        bytes_ += bytes;
        if (!is_signed) {
            ++refused_;
            return;
        }
        records_ += pack.records;
        if (pack.newest > 0) {
            double& newest = newest_[pack.device];
            newest = std::max(newest, pack.newest);
        }
    }
    void write(FILE* log, int connections) {
        const std::lock_guard guard(lock_);
        const std::int64_t now = wall_ms();
        std::vector<std::int64_t> ages;
        ages.reserve(newest_.size());
        for (const auto& [device, newest] : newest_)
            ages.push_back(now - static_cast<std::int64_t>(newest * 1000));
        std::sort(ages.begin(), ages.end());
        std::fprintf(log, "%lld %llu %llu %llu %llu %zu %lld %lld %d\n", static_cast<long long>(now), posts_,
                     records_, bytes_, refused_, ages.size(),
                     static_cast<long long>(ages.empty() ? 0 : ages.back()),
                     static_cast<long long>(ages.empty() ? 0 : ages[ages.size() / 2]), connections);
        std::fflush(log);
    }

private:
    std::mutex lock_;
    unsigned long long posts_ = 0, records_ = 0, bytes_ = 0, refused_ = 0;
    std::unordered_map<std::string, double> newest_;
};

Certificate load(const char* certificate_file, const char* key_file) {
    FILE* certificate = std::fopen(certificate_file, "r");
    FILE* key = std::fopen(key_file, "r");
    if (certificate == nullptr || key == nullptr)
        throw std::runtime_error("no certificate");
    Certificate loaded{{PEM_read_X509(certificate, nullptr, nullptr, nullptr), &X509_free},
                       {PEM_read_PrivateKey(key, nullptr, nullptr, nullptr), &EVP_PKEY_free}};
    std::fclose(certificate);
    std::fclose(key);
    return loaded;
}

void serve(TestConnection& connection, Books& books, const std::string& secret) {
    static const std::string accepted = http_answer(202), refused = http_answer(401);
    while (const auto request = connection.read_request()) {
        const bool is_signed = secret == "-" || request->has(token_of(request->body, secret));
        books.add(look_at(request->body), request->body.size(), is_signed);
        if (!connection.write(is_signed ? accepted : refused))
            return;
    }
}

} // namespace

int main(int argc, char** argv) {
    const bool is_plain = argc == 6 && std::strcmp(argv[5], "plain") == 0;
    if (argc != 5 && !is_plain) {
        std::fprintf(stderr, "bench-platform SECRET CERTIFICATE KEY LOG [plain]\n");
        return 64;
    }
    FILE* log = std::fopen(argv[4], "w");
    if (log == nullptr)
        return 1;
    Books books;
    const std::string secret = argv[1];
    TlsServer::Options options;
    options.is_plain = is_plain;
    options.patience = std::chrono::hours(1);
    TlsServer server(
        load(argv[2], argv[3]),
        [&books, &secret](TestConnection& connection) { serve(connection, books, secret); }, options);
    std::cout << server.port() << std::endl;
    std::atomic<bool> is_over{false};
    std::thread writer([&] {
        while (!is_over) {
            books.write(log, server.accepted());
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
        }
        books.write(log, server.accepted());
    });
    for (std::string line; std::getline(std::cin, line);) {
    }
    is_over = true;
    writer.join();
    std::fclose(log);
    return 0;
}
