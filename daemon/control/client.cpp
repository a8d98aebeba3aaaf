// SPDX-License-Identifier: Apache-2.0
#include "control/client.hpp"

#include "control/request.hpp"
#include "control/response.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include <poll.h>
#include <sys/un.h>

namespace things {

namespace {

using Clock = std::chrono::steady_clock;
using Status = ControlAnswer::Status;

constexpr int unavailable = 69; // EX_UNAVAILABLE, design.md section 7
// The status of a thousand devices takes a few MiB; more is no answer of ours.
constexpr std::size_t longest_line = std::size_t{64} << 20;

std::string reason(int error) {
    return std::error_code(error, std::generic_category()).message();
}

ControlAnswer fail(Status status, std::string text) {
    ControlAnswer answer;
    answer.status = status;
    answer.error = std::move(text);
    answer.exit_code = unavailable;
    return answer;
}

/// What comes in, line by line, while libcurl waits for more.
struct Incoming {
    const std::function<void(const std::string&)>& on_progress;
    std::chrono::milliseconds patience;
    Clock::time_point heard = Clock::now();
    std::string line;
    std::optional<ControlResponse> last;
    std::string problem;

    bool take_line() {
        auto response = parse_response(line);
        line.clear();
        if (!response)
            problem = "the daemon's answer is not understood; is it of another version?";
        else if (response->is_done)
            last = std::move(response);
        else if (on_progress)
            on_progress(response->json);
        return problem.empty();
    }
};

std::size_t on_data(const char* data, std::size_t, std::size_t size, void* user) {
    Incoming& in = *static_cast<Incoming*>(user);
    in.heard = Clock::now();
    for (std::size_t i = 0; i < size; ++i)
        if (data[i] != '\n')
            in.line += data[i];
        else if (!in.take_line())
            return 0;
    if (in.line.size() > longest_line)
        in.problem = "the daemon's answer does not end";
    return in.problem.empty() ? size : 0;
}

/// libcurl calls it about once a second at least.
int on_wait(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    Incoming& in = *static_cast<Incoming*>(user);
    if (Clock::now() - in.heard < in.patience)
        return 0;
    in.problem = fmt::format("the daemon did not answer within {:.0f} s",
                             std::chrono::duration<double>(in.patience).count());
    return 1;
}

struct Cleanup {
    void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// The error number of a connection that could not be made; 0: it was made.
int perform(CURL* curl, Incoming& in) {
    const CURLcode code = curl_easy_perform(curl);
    long error = 0;
    if (code == CURLE_COULDNT_CONNECT)
        curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
    if (code != CURLE_OK && !in.last && in.problem.empty())
        in.problem = code == CURLE_COULDNT_CONNECT ? curl_easy_strerror(code)
                                                   : "the daemon closed the connection without an answer";
    return static_cast<int>(error);
}

} // namespace

ControlAnswer ask_daemon(const std::filesystem::path& socket, const std::string& verb,
                         const std::string& arguments, std::chrono::milliseconds patience,
                         const std::function<void(const std::string&)>& on_progress) {
    const std::string path = socket.string();
    if (path.size() >= sizeof sockaddr_un::sun_path)
        return fail(Status::broken, fmt::format("{}: {}", path, reason(ENAMETOOLONG)));
    const std::unique_ptr<CURL, Cleanup> curl(curl_easy_init());
    const std::unique_ptr<curl_slist, Cleanup> headers(
        curl_slist_append(nullptr, "Content-Type: application/json"));
    if (!curl || !headers)
        return fail(Status::broken, reason(ENOMEM));
    Incoming in{on_progress, patience, Clock::now(), {}, {}, {}};
    const std::string url = "http://gateway" + path_of(verb);
    curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, path.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_PROXY, ""); // nor that of the environment
    curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(arguments.size()));
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, arguments.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &on_data);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &in);
    curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, &on_wait);
    curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &in);
    curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
    int error = perform(curl.get(), in);
    // A full backlog is EAGAIN for a Unix socket; there is nothing to wait on, so it is tried again.
    while (error == EAGAIN && Clock::now() - in.heard < patience) {
        poll(nullptr, 0, 10);
        in.problem.clear();
        error = perform(curl.get(), in);
    }
    if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR)
        return fail(Status::absent, fmt::format("no gateway is running (nobody answers at {})", path));
    if (error == EACCES || error == EPERM)
        return fail(Status::denied,
                    fmt::format("you may not talk to the running gateway: {}: {}", path, reason(error)));
    if (error != 0)
        return fail(Status::broken, fmt::format("{}: {}", path, reason(error)));
    if (!in.last)
        return fail(Status::broken,
                    in.problem.empty() ? "the daemon closed the connection without an answer" : in.problem);
    ControlAnswer answer;
    answer.status = in.last->is_ok ? Status::ok : Status::failed;
    answer.exit_code = in.last->is_ok ? 0 : in.last->exit_code;
    answer.result = std::move(in.last->json);
    answer.error = std::move(in.last->error);
    return answer;
}

} // namespace things
