// Records in the files, where members that are as in the usual record (topic `orders`, ...) are
// left out.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Map;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.SimpleHeaderConverter;

class RecordForm {
    static final String TOPIC = "orders";
    static final int PARTITION = 0;
    static final long OFFSET = 42;
    static final long TIMESTAMP = Instant.parse("2020-01-02T03:04:05.678Z").toEpochMilli();
    static final JsonConverter SCHEMAS = new JsonConverter();
    static final SimpleHeaderConverter HEADERS = new SimpleHeaderConverter();

    static {
        SCHEMAS.configure(Map.of("schemas.enable", true), false);
    }

    static ConnectRecord<?> read(JsonNode form) {
        Schema keySchema = schema(form.get("key_schema"));
        Schema valueSchema = schema(form.get("value_schema"));
        Object key = new ValueForm(form.get("key_types")).read(keySchema, form.path("key"), "");
        Object value = new ValueForm(form.get("value_types")).read(valueSchema, form.path("value"), "");
        String topic = form.path("topic").asText(TOPIC);
        Integer partition = form.path("partition").isNull() ? null : form.path("partition").asInt(PARTITION);
        Long timestamp = form.path("timestamp").isNull() ? null : form.path("timestamp").asLong(TIMESTAMP);
        long offset = form.path("offset").asLong(OFFSET);
        ConnectRecord<?> record = form.path("offset").isNull()
                ? new SourceRecord(null, null, topic, partition, keySchema, key, valueSchema, value,
                        timestamp)
                : new SinkRecord(topic, partition, keySchema, key, valueSchema, value, offset,
                        timestamp, TimestampType.CREATE_TIME);
        for (JsonNode header : form.path("headers")) {
            String text = header.get(1).textValue();
            record.headers().add(header.get(0).textValue(), text, Schema.OPTIONAL_STRING_SCHEMA);
        }
        return record;
    }

    static ObjectNode write(ConnectRecord<?> record) {
        ObjectNode form = Golden.NODES.objectNode();
        if (!record.topic().equals(TOPIC)) {
            form.put("topic", record.topic());
        }
        if (record.kafkaPartition() == null || record.kafkaPartition() != PARTITION) {
            form.put("partition", record.kafkaPartition());
        }
        if (!(record instanceof SinkRecord)) {
            form.putNull("offset");
        } else if (((SinkRecord) record).kafkaOffset() != OFFSET) {
            form.put("offset", ((SinkRecord) record).kafkaOffset());
        }
        if (record.timestamp() == null || record.timestamp() != TIMESTAMP) {
            form.put("timestamp", record.timestamp());
        }
        write(form, "key", record.keySchema(), record.key());
        write(form, "value", record.valueSchema(), record.value());
        ArrayNode headers = Golden.NODES.arrayNode();
        for (Header header : record.headers()) {
            byte[] bytes = HEADERS.fromConnectHeader(record.topic(), header.key(), header.schema(), header.value());
            String text = bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
            headers.addArray().add(header.key()).add(text);
        }
        if (!headers.isEmpty()) {
            form.set("headers", headers);
        }
        return form;
    }

    static void write(ObjectNode form, String part, Schema schema, Object value) {
        ValueForm values = new ValueForm(null);
        JsonNode json = values.write(schema, value, "");
        if (schema != null) {
            form.set(part + "_schema", SCHEMAS.asJsonSchema(schema).deepCopy());
        }
        if (!values.types.isEmpty()) {
            form.set(part + "_types", values.types);
        }
        if (!json.isNull()) {
            form.set(part, json);
        }
    }

    static Schema schema(JsonNode json) {
        return json == null ? null : SCHEMAS.asConnectSchema(json);
    }
}
