// SPDX-License-Identifier: Apache-2.0
#include "config/provision.hpp"

#include "config/names.hpp"
#include "config/words.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <pwd.h>
#include <stdexcept>
#include <sys/random.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace things {

namespace {

constexpr std::string_view alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::size_t secret_length = 64;
constexpr const char* service_user = "kpn-things-gateway"; // systemd/kpn-things-gateway.sysusers

[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error) {
    throw std::runtime_error(
        fmt::format("{} {}: {}", what, path.string(), std::generic_category().message(error)));
}

class NewFile {
public:
    explicit NewFile(const std::filesystem::path& path)
        : path_(path), number_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                                      S_IRUSR | S_IWUSR)) {
        if (number_ < 0)
            fail(path_, errno == EEXIST ? "will not overwrite" : "cannot write", errno);
    }
    ~NewFile() {
        if (number_ >= 0)
            ::close(number_);
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    void give_to(uid_t user, gid_t group) const {
        if (::fchown(number_, user, group) != 0)
            fail(path_, "cannot change the owner of", errno);
    }
    void write(const std::string& text) {
        for (std::size_t done = 0; done < text.size();) {
            const ssize_t count = ::write(number_, text.data() + done, text.size() - done);
            if (count < 0 && errno != EINTR)
                fail(path_, "cannot write", errno);
            done += count > 0 ? static_cast<std::size_t>(count) : 0;
        }
        // The secret goes into the Portal too: it must not be lost to a power cut meanwhile.
        if (::fsync(number_) != 0)
            fail(path_, "cannot write", errno);
    }

private:
    std::filesystem::path path_;
    int number_;
};

bool is_root() {
    return ::geteuid() == 0;
}

void make_private_directory(const std::filesystem::path& path) {
    std::error_code error;
    if (path.empty() || std::filesystem::is_directory(path, error))
        return;
    if (path.has_parent_path() && !std::filesystem::create_directories(path.parent_path(), error) && error)
        throw std::runtime_error(
            fmt::format("cannot make {}: {}", path.parent_path().string(), error.message()));
    if (::mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST)
        fail(path, "cannot make", errno);
    const passwd* service = is_root() ? ::getpwnam(service_user) : nullptr; // NOLINT(concurrency-mt-unsafe)
    if (service && ::lchown(path.c_str(), service->pw_uid, service->pw_gid) != 0)
        fail(path, "cannot change the owner of", errno);
}

void write_secret(const Provisioned& device) {
    struct stat directory {};
    const std::filesystem::path parent = device.secret_file.parent_path();
    // Root makes secrets for the service: they belong to whom the directory belongs to.
    const bool gives = is_root() && ::stat(parent.empty() ? "." : parent.c_str(), &directory) == 0;
    NewFile made(device.secret_file);
    try {
        if (gives)
            made.give_to(directory.st_uid, directory.st_gid);
        made.write(device.secret.reveal() + "\n");
    } catch (...) {
        // A file without its secret would be in the way of the next attempt.
        ::unlink(device.secret_file.c_str());
        throw;
    }
}

std::vector<std::string> names_of(const ProvisionRequest& request) {
    std::vector<std::string> names = request.names;
    const std::size_t last = request.first + request.count - 1;
    const std::size_t width = std::to_string(last).size();
    for (std::size_t i = request.first; names.size() < request.count && request.names.empty(); ++i)
        names.push_back(fmt::format("{}-{:0{}}", request.prefix, i, width));
    for (const std::string& name : names) {
        std::string why;
        if (!is_plain_name(name, why))
            throw std::runtime_error(fmt::format("name \"{}\": {}", name, why));
    }
    return names;
}

void write_secrets(const std::vector<Provisioned>& devices) {
    std::size_t made = 0;
    try {
        for (; made < devices.size(); ++made)
            write_secret(devices[made]);
    } catch (...) {
        for (std::size_t i = 0; i < made; ++i)
            ::unlink(devices[i].secret_file.c_str());
        throw;
    }
}

/// The file as the configuration names it: relative paths there are relative to the configuration.
std::string row_path(const ProvisionRequest& request, const Provisioned& device) {
    if (request.beside.empty())
        return device.secret_file.string();
    const std::filesystem::path file = std::filesystem::weakly_canonical(device.secret_file);
    const std::filesystem::path from_there =
        file.lexically_relative(std::filesystem::weakly_canonical(request.beside));
    const bool is_below = !from_there.empty() && *from_there.begin() != "..";
    return is_below ? from_there.string() : file.string();
}

std::string csv_cell(const std::string& text) {
    if (text.find_first_of(",;\"\r\n") == std::string::npos)
        return text;
    std::string quoted = "\"";
    for (const char c : text)
        quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
}

} // namespace

void system_random(std::span<unsigned char> bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
        const ssize_t count = ::getrandom(bytes.data() + done, bytes.size() - done, 0);
        if (count < 0 && errno != EINTR)
            throw std::runtime_error("the kernel gives no random numbers: " +
                                     std::generic_category().message(errno));
        done += count > 0 ? static_cast<std::size_t>(count) : 0;
    }
}

std::string make_dvnuuid(const RandomBytes& random) {
    std::array<unsigned char, 16> bytes{};
    random(bytes);
    // Version 4, variant 10 (RFC 9562, section 5.4).
    bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0fU) | 0x40U);
    bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3fU) | 0x80U);
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        text += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
    return text;
}

Secret make_secret(const RandomBytes& random) {
    // Bytes from 248 up are thrown away: 248 is 4 x 62, so every character is equally likely.
    constexpr unsigned limit = 256 - 256 % alphabet.size();
    std::string text;
    text.reserve(secret_length);
    std::array<unsigned char, secret_length> bytes{};
    while (text.size() < secret_length) {
        random(bytes);
        for (std::size_t i = 0; i < bytes.size() && text.size() < secret_length; ++i)
            if (bytes[i] < limit)
                text += alphabet[bytes[i] % alphabet.size()];
    }
    explicit_bzero(bytes.data(), bytes.size());
    return Secret(std::move(text));
}

std::vector<Provisioned> provision(const ProvisionRequest& request, const RandomBytes& random) {
    constexpr std::size_t most = 100'000;
    if (request.names.empty() && (request.count == 0 || request.count > most))
        throw std::runtime_error(fmt::format("between 1 and {} devices can be made at once", most));
    std::vector<Provisioned> devices;
    for (const std::string& name : names_of(request))
        devices.push_back({name, make_dvnuuid(random), make_secret(random), request.directory / name});
    make_private_directory(request.directory);
    write_secrets(devices);
    return devices;
}

std::string provision_yaml(const ProvisionRequest& request, const std::vector<Provisioned>& devices) {
    std::string out = "devices:\n";
    int unit_id = request.first_unit_id;
    for (const Provisioned& device : devices) {
        out += fmt::format("  - name: {}\n    dvnuuid: {}\n    secret: {{file: {}}}\n",
                           yaml_text(device.name), device.dvnuuid, yaml_text(row_path(request, device)));
        if (!request.source.empty())
            out += fmt::format("    source: {}\n", yaml_text(request.source));
        if (unit_id > 0)
            out += fmt::format("    unit_id: {}\n", unit_id++);
        if (!request.profile.empty())
            out += fmt::format("    profile: {}\n", yaml_text(request.profile));
    }
    return out;
}

std::string provision_csv(const ProvisionRequest& request, const std::vector<Provisioned>& devices) {
    std::string out = "name,dvnuuid,secret_file,source,unit_id,profile\n";
    int unit_id = request.first_unit_id;
    for (const Provisioned& device : devices)
        out += fmt::format("{},{},{},{},{},{}\n", csv_cell(device.name), device.dvnuuid,
                           csv_cell(row_path(request, device)), csv_cell(request.source),
                           unit_id > 0 ? std::to_string(unit_id++) : "", csv_cell(request.profile));
    return out;
}

std::string portal_csv(const std::vector<Provisioned>& devices) {
    std::string out = "name,dvnuuid,secret\n";
    for (const Provisioned& device : devices)
        out += fmt::format("{},{},{}\n", csv_cell(device.name), device.dvnuuid, device.secret.reveal());
    return out;
}

void write_private_file(const std::filesystem::path& file, const std::string& text) {
    NewFile made(file);
    try {
        made.write(text);
    } catch (...) {
        ::unlink(file.c_str());
        throw;
    }
}

} // namespace things
