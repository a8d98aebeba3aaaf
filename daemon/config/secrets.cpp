// SPDX-License-Identifier: Apache-2.0
#include "config/secrets.hpp"

#include "config/section.hpp"
#include "config/unseen.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <sys/stat.h>

namespace things {

namespace {

constexpr std::size_t most_secret_bytes = 4096;

std::string trim(const std::string& text) {
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string::npos)
        return {};
    return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::optional<std::string> read_private(const std::filesystem::path& path, const Place& place,
                                        bool is_credential, Problems& problems) {
    FileText file = read_text_file(path);
    if (!file.reason.empty()) {
        problems.error(place, fmt::format("cannot read the secret in {}: {}", path.string(), file.reason));
        return std::nullopt;
    }
    struct stat status {};
    constexpr mode_t others = S_IRWXG | S_IRWXO;
    // Modes of credentials are systemd's own.
    if (!is_credential && ::stat(path.c_str(), &status) == 0 && (status.st_mode & others) != 0) {
        problems.error(
            place, fmt::format("the secret in {0} can be read by others (mode {1:04o}); run: chmod 600 {0}",
                               path.string(), status.st_mode & 07777U));
        return std::nullopt;
    }
    if (file.text.size() > most_secret_bytes) {
        problems.error(place,
                       fmt::format("{} is too large to hold a secret; is it the right file?", path.string()));
        return std::nullopt;
    }
    // PowerShell and Notepad write these two.
    if (file.text.compare(0, 2, "\xff\xfe") == 0 || file.text.compare(0, 2, "\xfe\xff") == 0) {
        problems.error(place,
                       fmt::format("the secret in {} is UTF-16; save the file as UTF-8", path.string()));
        return std::nullopt;
    }
    if (file.text.compare(0, 3, "\xef\xbb\xbf") == 0)
        file.text.erase(0, 3);
    const std::string text = trim(file.text);
    if (!text.empty())
        return text;
    problems.error(place, fmt::format("the secret in {} is empty; write the secret into it", path.string()));
    return std::nullopt;
}

std::optional<FoundSecret> from_credential(const std::string& name, const Place& place,
                                           const LoadOptions& options, Problems& problems) {
    if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..") {
        problems.error(place,
                       fmt::format("credential: {} is not a name of a systemd credential", quote(name)));
        return std::nullopt;
    }
    // `check` run by a person: the file is right as far as can be seen from here.
    if (options.credentials_directory.empty() && !options.is_service) {
        problems.warning(place, fmt::format("credential {}: only the service can see it", quote(name)));
        return FoundSecret{stand_in_secret, "credential " + name};
    }
    if (options.credentials_directory.empty()) {
        problems.error(
            place,
            fmt::format("credential {}: systemd handed over no credentials; add LoadCredential={}:FILE "
                        "to the service",
                        quote(name), name));
        return std::nullopt;
    }
    const std::optional<std::string> text =
        read_private(options.credentials_directory / name, place, true, problems);
    if (!text)
        return std::nullopt;
    return FoundSecret{*text, "credential " + name};
}

std::optional<FoundSecret> from_environment(const std::string& name, const Place& place,
                                            const LoadOptions& options, Problems& problems) {
    const std::optional<std::string> text = options.environment ? options.environment(name) : std::nullopt;
    if (text && !trim(*text).empty())
        return FoundSecret{trim(*text), "env " + name};
    if (!options.is_service) {
        problems.warning(
            place, fmt::format("the environment has no variable {}; the service may have it", quote(name)));
        return FoundSecret{stand_in_secret, "env " + name};
    }
    problems.error(place,
                   fmt::format("the environment has no variable {}; set it for the service", quote(name)));
    return std::nullopt;
}

/// Whether a name that is given for a secret is one; a secret in its place must not be shown.
bool is_there(const std::string& key, const Node& name, const LoadOptions& options) {
    std::error_code error;
    if (key == "file")
        return std::filesystem::exists(beside(*name.file, name.text), error);
    if (key == "env")
        return options.environment && options.environment(name.text).has_value();
    return !options.credentials_directory.empty() &&
           std::filesystem::exists(options.credentials_directory / name.text, error);
}

/// `{TEXT}` or `{file: TEXT}` with the secret itself: other messages would show it.
const Node* find_misplaced(const Entries& entries, const LoadOptions& options) {
    std::string why;
    for (const auto& [key, value] : entries) {
        if (is_device_secret(key->text, why))
            return key;
        if (value->is_scalar() && is_device_secret(value->text, why) && !is_there(key->text, *value, options))
            return value;
    }
    return nullptr;
}

} // namespace

std::optional<FoundSecret> read_secret(const Node& node, const std::string& what, const LoadOptions& options,
                                       Problems& problems) {
    if (node.is_scalar())
        return FoundSecret{node.text, "text"};
    if (!node.is_map()) {
        problems.error(
            node.place(),
            fmt::format("{}: expected {{file: F}}, {{credential: C}}, {{env: E}} or the text, got {}", what,
                        node.kind_name()));
        return std::nullopt;
    }
    if (const Node* misplaced = find_misplaced(entries_of(node), options)) {
        problems.error(misplaced->place(),
                       fmt::format("{}: this looks like the secret itself, which stands without braces; or "
                                   "write it into a file and name that, as {{file: secrets/NAME}}",
                                   what));
        return std::nullopt;
    }
    Section section(what, node.place(), entries_of(node), secret_keys(), problems);
    section.check_names();
    const int given = static_cast<int>(section.has("file")) + static_cast<int>(section.has("credential")) +
                      static_cast<int>(section.has("env"));
    if (given != 1 && (given > 1 || node.children.empty())) {
        problems.error(node.place(),
                       fmt::format("{}: give one of file, credential and env, here are {}", what, given));
        return std::nullopt;
    }
    std::filesystem::path file;
    std::string credential, variable;
    section.read("file", file);
    section.read("credential", credential);
    section.read("env", variable);
    if (!credential.empty())
        return from_credential(credential, section.place("credential"), options, problems);
    if (!variable.empty())
        return from_environment(variable, section.place("env"), options, problems);
    if (file.empty())
        return std::nullopt;
    const std::optional<std::string> text = read_private(file, section.place("file"), false, problems);
    if (!text)
        return std::nullopt;
    return FoundSecret{*text, "file " + file.string()};
}

bool is_device_secret(const std::string& text, std::string& why) {
    const auto is_alphanumeric = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    };
    if (const std::optional<Unseen> unseen = find_unseen(text))
        why = fmt::format("character {} of it is unseen, {}", unseen->index + 1, unseen->name());
    else if (!std::all_of(text.begin(), text.end(), is_alphanumeric))
        why = "it has other characters than letters and digits";
    else if (text.size() < 30 || text.size() > 100)
        why = fmt::format("it has {} characters, 30 to 100 are allowed", text.size());
    else
        return true;
    return false;
}

bool is_open_to_others(const std::filesystem::path& file) {
    struct stat status {};
    return ::stat(file.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0;
}

bool is_readable_by_all(const std::string& file) {
    struct stat status {};
    return ::stat(file.c_str(), &status) == 0 && (status.st_mode & S_IROTH) != 0;
}

} // namespace things
