drop trigger note_reference_insert on products;
drop trigger note_reference_update on products;
drop trigger note_reference_delete on products;
drop table product_details;
