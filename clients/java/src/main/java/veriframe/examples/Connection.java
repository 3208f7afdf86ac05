package veriframe.examples;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.util.concurrent.TimeUnit;

/** Where the server is, and how it is reached. */
final class Connection {
  private static final String DEFAULT_ADDRESS = "127.0.0.1:50051";
  private static final String TLS = "https://";
  /** What the server as installed takes and sends; gRPC's own limit for answers is 4 MiB. */
  private static final int MAX_MESSAGE_BYTES = 64 << 20;

  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private Connection() {}

  /**
   * Prepares a connection to VERIFRAME_ADDRESS: HOST:PORT, or https://HOST:PORT for TLS, which
   * believes the authorities in Java's trust store. It is opened with the first call. Where the name
   * has several addresses, calls go to all of them in turn.
   */
  static ManagedChannel open() {
    String address = variable("VERIFRAME_ADDRESS", DEFAULT_ADDRESS);
    boolean secure = address.startsWith(TLS);
    ChannelCredentials credentials =
        secure ? TlsChannelCredentials.create() : InsecureChannelCredentials.create();
    Metadata headers = new Metadata();
    String key = variable("VERIFRAME_API_KEY", "");
    if (!key.isEmpty()) {
      headers.put(AUTHORIZATION, "Bearer " + key);
    }
    return Grpc.newChannelBuilder(secure ? address.substring(TLS.length()) : address, credentials)
        .defaultLoadBalancingPolicy("round_robin")
        .maxInboundMessageSize(MAX_MESSAGE_BYTES)
        // A connection that broke without a word is noticed during a call.
        .keepAliveTime(30, TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .intercept(MetadataUtils.newAttachHeadersInterceptor(headers))
        .build();
  }

  private static String variable(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? otherwise : value;
  }
}
