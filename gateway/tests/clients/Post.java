// Posts with the JDK's own client, one after the other: java Post.java <version> <url> <token> <count>
// The version is that of HttpClient.Version; HTTP_2, its default, offers h2c on each request.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public final class Post {
    public static void main(String[] arguments) throws Exception {
        var version = HttpClient.Version.valueOf(arguments[0]);
        var client = HttpClient.newBuilder().version(version).build();
        int count = Integer.parseInt(arguments[3]);
        for (int number = 0; number < count; number++) {
            var request = HttpRequest.newBuilder(URI.create(arguments[1]))
                .header("authorization", "Bearer " + arguments[2])
                .POST(HttpRequest.BodyPublishers.ofString(Integer.toString(number)))
                .build();
            var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            if (answer.statusCode() != 200 || !answer.body().equals(Integer.toString(number))) {
                throw new IllegalStateException(number + ": " + answer.statusCode() + " " + answer.body());
            }
        }
    }
}
